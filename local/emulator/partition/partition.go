// Package partition knows which partition of AWS a Region lies in: a set of Regions
// with accounts, ARNs and a domain of its own, which nothing crosses.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
package partition

import "strings"

// Commercial is the name of the partition of all Regions that are not set apart.
const Commercial = "aws"

// Partition is one of AWS's.
type Partition struct {
	// Name stands in its ARNs, such as aws-cn.
	Name string
	// Domain ends the host names of its services: sts.<region>.<domain>.
	Domain string
	// Global is the Region that its global services, such as Organizations, lie in.
	// https://docs.aws.amazon.com/organizations/latest/userguide/region-support.html
	Global string
}

// Of returns the partition of a Region, by the form of the Region's name. Of the
// partitions that are set apart it knows China and GovCloud.
func Of(region string) Partition {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return Partition{Name: "aws-cn", Domain: "amazonaws.com.cn", Global: "cn-northwest-1"}
	case strings.HasPrefix(region, "us-gov-"):
		return Partition{Name: "aws-us-gov", Domain: "amazonaws.com", Global: "us-gov-west-1"}
	}
	return Partition{Name: Commercial, Domain: "amazonaws.com", Global: "us-east-1"}
}
