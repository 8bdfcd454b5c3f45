// Package regions knows the Regions of AWS and the partitions that they lie in,
// as of the AWS SDK that is built in: a test compares.
package regions

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/similar"
)

// partition is a set of Regions that roles are assumed within.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
type partition struct {
	name string
	// pattern is the form of the names of its Regions, later ones included.
	pattern *regexp.Regexp
	regions []string
}

// partitions is the SDK's endpoint data: internal/endpoints/awsrulesfn/partitions.json
// of the module github.com/aws/aws-sdk-go-v2.
var partitions = []partition{
	{name: "aws", pattern: regexp.MustCompile(`^(us|eu|ap|sa|ca|me|af|il|mx)\-\w+\-\d+$`), regions: []string{
		"af-south-1",
		"ap-east-1", "ap-east-2",
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
		"ap-south-1", "ap-south-2",
		"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
		"ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
		"ca-central-1", "ca-west-1",
		"eu-central-1", "eu-central-2",
		"eu-north-1",
		"eu-south-1", "eu-south-2",
		"eu-west-1", "eu-west-2", "eu-west-3",
		"il-central-1",
		"me-central-1", "me-south-1", "me-west-1",
		"mx-central-1",
		"sa-east-1", "sa-west-1",
		"us-east-1", "us-east-2",
		"us-west-1", "us-west-2",
	}},
	{name: "aws-cn", pattern: regexp.MustCompile(`^cn\-\w+\-\d+$`), regions: []string{"cn-north-1", "cn-northwest-1"}},
	{name: "aws-eusc", pattern: regexp.MustCompile(`^eusc\-(de)\-\w+\-\d+$`), regions: []string{"eusc-de-east-1"}},
	{name: "aws-iso", pattern: regexp.MustCompile(`^us\-iso\-\w+\-\d+$`), regions: []string{"us-iso-east-1", "us-iso-west-1"}},
	{name: "aws-iso-b", pattern: regexp.MustCompile(`^us\-isob\-\w+\-\d+$`), regions: []string{"us-isob-east-1", "us-isob-west-1"}},
	{name: "aws-iso-e", pattern: regexp.MustCompile(`^eu\-isoe\-\w+\-\d+$`), regions: []string{"eu-isoe-west-1"}},
	{name: "aws-iso-f", pattern: regexp.MustCompile(`^us\-isof\-\w+\-\d+$`), regions: []string{"us-isof-east-1", "us-isof-south-1"}},
	{name: "aws-us-gov", pattern: regexp.MustCompile(`^us\-gov\-\w+\-\d+$`), regions: []string{"us-gov-east-1", "us-gov-west-1"}},
}

// Known says whether AWS has a Region of that name.
func Known(region string) bool {
	return slices.ContainsFunc(partitions, func(p partition) bool { return slices.Contains(p.regions, region) })
}

// Partition returns the AWS partition that a Region lies in, such as "aws", or
// would lie in if there were one of that name; and "" where no Region's name has
// that form.
func Partition(region string) string {
	for _, p := range partitions {
		if p.pattern.MatchString(region) {
			return p.name
		}
	}
	return ""
}

// Scope is where a workflow can act.
type Scope struct {
	// Partition is the AWS partition of the workflow: roles are assumed within one.
	// Empty stands for any.
	Partition string
	// Additional are Regions of that partition that the list lacks: those of its
	// configuration's additionalRegions.
	Additional []string
}

// Refuse says why a workflow cannot act in a Region, and nothing where it can.
func (s Scope) Refuse(region string) (why string) {
	partition := Partition(region)
	switch {
	case !Known(region) && !slices.Contains(s.Additional, region):
		if others := similar.To(region, all()); len(others) > 0 {
			return "no such AWS Region: did you mean " + strings.Join(others, ", ") + "?"
		}
		return "no such AWS Region: the configuration's additionalRegions can allow one that is new"
	case s.Partition != "" && partition != s.Partition:
		return fmt.Sprintf("lies in partition %s, but a workflow in %s can assume roles in its own only", partition, s.Partition)
	}
	return ""
}

func all() []string {
	var names []string
	for _, p := range partitions {
		names = append(names, p.regions...)
	}
	return names
}
