package world

import (
	_ "embed" // what a deployment consists of
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/regions"
)

// deploymentJSON is what the CDK app synthesises of deployment.yaml: a test of
// the app keeps it so. The world thus runs under the very policies, trust
// policies, timeouts and environments that are deployed.
//
//go:embed deployment.json
var deploymentJSON []byte

// synthesized is the part of a deployment that the world starts from.
type synthesized struct {
	Bucket       string
	BucketPolicy json.RawMessage
	Roles        []struct {
		Account, Name string
		Trust         json.RawMessage
		Policies      []json.RawMessage
	}
	Functions []struct {
		Name, Role               string
		TimeoutSeconds, MemoryMB int
		Environment              map[string]string
	}
}

func loadDeployment() (synthesized, error) {
	var d synthesized
	if err := json.Unmarshal(deploymentJSON, &d); err != nil {
		return d, fmt.Errorf("read the deployment: %w", err)
	}
	return d, nil
}

func (d synthesized) buckets() []s3.Bucket {
	return []s3.Bucket{{Name: d.Bucket, Account: HubAccount, Region: HubRegion, Policy: string(d.BucketPolicy)}}
}

// roles returns the hub's roles and the access roles. Those of the accounts that
// otherExternalID names expect another external id than the hub's.
func (d synthesized) roles(otherExternalID func(account string) bool) ([]iam.Role, error) {
	var roles []iam.Role
	for _, r := range d.Roles {
		role := iam.Role{Account: r.Account, Name: r.Name, Trust: string(r.Trust)}
		if otherExternalID(r.Account) {
			trust, err := expecting("another-"+externalID, r.Trust)
			if err != nil {
				return nil, fmt.Errorf("role %s of account %s: %w", r.Name, r.Account, err)
			}
			role.Trust = trust
		}
		for _, policy := range r.Policies {
			role.Policies = append(role.Policies, string(policy))
		}
		roles = append(roles, role)
	}
	return roles, nil
}

// expecting returns a trust policy that expects that external id in place of its
// own.
func expecting(externalID string, trust json.RawMessage) (string, error) {
	var policy map[string]any
	if err := json.Unmarshal(trust, &policy); err != nil {
		return "", fmt.Errorf("read the trust policy: %w", err)
	}
	statements, _, err := unstructured.NestedSlice(policy, "Statement")
	if err != nil {
		return "", fmt.Errorf("read the trust policy: %w", err)
	}
	for _, statement := range statements {
		if err := unstructured.SetNestedField(statement.(map[string]any), externalID, "Condition", "StringEquals", "sts:ExternalId"); err != nil {
			return "", fmt.Errorf("change the trust policy: %w", err)
		}
	}
	policy["Statement"] = statements
	body, err := json.Marshal(policy)
	return string(body), err
}

// functions returns the functions with the binaries in a folder.
func (d synthesized) functions(binaries string, pollWindow time.Duration) []lambda.Function {
	var functions []lambda.Function
	for _, f := range d.Functions {
		step := strings.TrimPrefix(f.Name, machineName+"-")
		if _, polls := f.Environment[awsenv.PollWindow]; polls && pollWindow > 0 {
			f.Environment[awsenv.PollWindow] = pollWindow.String()
		}
		functions = append(functions, lambda.Function{
			Account: HubAccount, Region: HubRegion, Name: f.Name, Version: "1", Binary: filepath.Join(binaries, step),
			RoleARN: f.Role, Environment: f.Environment, MemoryMB: f.MemoryMB,
			Timeout: time.Duration(f.TimeoutSeconds) * time.Second,
		})
	}
	return functions
}

// substitutions returns the values of the definition's placeholders: the partition
// and the ARNs of the functions' versions.
func (d synthesized) substitutions() map[string]string {
	arns := map[string]string{}
	for _, f := range d.functions("", 0) {
		arns[f.Name] = f.ARN() + ":" + f.Version
	}
	values := map[string]string{deployment.PartitionPlaceholder: regions.Partition(HubRegion)}
	for _, f := range deployment.Functions() {
		values[f.Placeholder()] = arns[machineName+"-"+f.Name]
	}
	return values
}
