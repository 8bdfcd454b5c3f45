package contract

import (
	"fmt"
	"log/slog"
	"strings"
)

// Target is one EKS cluster.
type Target struct {
	// Account is the 12-digit id of the AWS account that owns the cluster.
	Account string `json:"account"`
	// Region is the cluster's AWS Region.
	Region string `json:"region"`
	// Cluster is the EKS cluster's name.
	Cluster string `json:"cluster"`
}

// String returns "account/region/cluster", the form in which messages and logs
// name a target.
func (t Target) String() string {
	return fmt.Sprintf("%s/%s/%s", t.Account, t.Region, t.Cluster)
}

// LogValue logs the target in its String form.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// PartitionOf returns the AWS partition a Region lies in. Regions carry their
// partition in their first words; a role can only be assumed within its own
// partition.
// https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
func PartitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

var partitions = []struct{ prefix, partition string }{
	{"cn-", "aws-cn"},
	{"us-gov-", "aws-us-gov"},
	{"us-iso-", "aws-iso"},
	{"us-isob-", "aws-iso-b"},
	{"eu-isoe-", "aws-iso-e"},
	{"us-isof-", "aws-iso-f"},
	{"eusc-", "aws-eusc"},
}
