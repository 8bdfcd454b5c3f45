package contract

import (
	"fmt"
	"log/slog"
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
