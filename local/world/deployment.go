package world

import (
	"embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/regions"
)

// deployments are what the CDK app synthesises of the configurations beside them: a
// test of the app keeps them so. The world thus runs under the very policies, trust
// policies, timeouts and environments that are deployed.
//
//go:embed deployments/*.json
var deployments embed.FS

// Deployment is the part of a deployment that the world starts from.
type Deployment struct {
	// Account and Region are the hub's: where the workflow lives.
	Account, Region string
	// Bucket is the run bucket.
	Bucket       string
	BucketPolicy json.RawMessage
	Roles        []Role
	Functions    []struct {
		Name, Role               string
		TimeoutSeconds, MemoryMB int
		Environment              map[string]string
	}
	// Substitutions are the values of the definition's placeholders.
	Substitutions map[string]string
	// Policies are the managed policies for people and for other workflows: "caller",
	// "reader" and "approver".
	Policies map[string]json.RawMessage
}

// Role is an IAM role of the deployment.
type Role struct {
	Account, Name string
	Trust         json.RawMessage
	Policies      []json.RawMessage
}

func loadDeployment(name string) (d Deployment, err error) {
	body, err := deployments.ReadFile("deployments/" + name + ".json")
	if err == nil {
		err = json.Unmarshal(body, &d)
	}
	if err != nil {
		return d, fmt.Errorf("read the deployment: %w", err)
	}
	return d, nil
}

// Partition is the AWS partition that the hub and all clusters lie in.
func (d Deployment) Partition() string { return regions.Partition(d.Region) }

// targetAccounts returns the accounts of the access roles, each once.
func (d Deployment) targetAccounts() []string {
	var accounts []string
	for _, role := range d.Roles {
		if role.Account != d.Account && !slices.Contains(accounts, role.Account) {
			accounts = append(accounts, role.Account)
		}
	}
	return accounts
}

func (d Deployment) buckets() []s3.Bucket {
	return []s3.Bucket{{Name: d.Bucket, Account: d.Account, Region: d.Region, Policy: string(d.BucketPolicy)}}
}

// roles returns the hub's roles and the access roles. Those of the accounts that
// otherExternalID names expect another external id than the hub's.
func (d Deployment) roles(otherExternalID func(account string) bool) ([]iam.Role, error) {
	var roles []iam.Role
	for _, r := range d.Roles {
		role := iam.Role{Partition: d.Partition(), Account: r.Account, Name: r.Name, Trust: string(r.Trust)}
		if otherExternalID(r.Account) {
			trust, err := expecting("another", r.Trust)
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

// person is somebody of the hub account who has one of the managed policies, and no
// other right.
func (d Deployment) person(policy string) iam.User {
	return iam.User{
		Partition: d.Partition(), Account: d.Account, Name: policy,
		AccessKeyID: "AKIALOCLPERSON" + strings.ToUpper(policy), SecretAccessKey: "local-secret-of-the-" + policy,
		Policies: []string{string(d.Policies[policy])},
	}
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
func (d Deployment) functions(binaries string, pollWindow time.Duration) []lambda.Function {
	var functions []lambda.Function
	for _, f := range d.Functions {
		step := strings.TrimPrefix(f.Name, machineName+"-")
		if _, polls := f.Environment[awsenv.PollWindow]; polls && pollWindow > 0 {
			f.Environment[awsenv.PollWindow] = pollWindow.String()
		}
		functions = append(functions, lambda.Function{
			Account: d.Account, Region: d.Region, Name: f.Name, Version: "1", Binary: filepath.Join(binaries, step),
			RoleARN: f.Role, Environment: f.Environment, MemoryMB: f.MemoryMB,
			Timeout: time.Duration(f.TimeoutSeconds) * time.Second,
		})
	}
	return functions
}
