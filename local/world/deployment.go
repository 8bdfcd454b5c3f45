package world

import (
	_ "embed" // what a deployment consists of
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
)

// deploymentJSON is what the CDK app synthesises of deployment.yaml: a test of
// the app keeps it so. The world thus runs under the very policies, trust
// policies, timeouts and environments that are deployed.
//
//go:embed deployment.json
var deploymentJSON []byte

// deployment is the part of a deployment that the world starts from.
type deployment struct {
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

func loadDeployment() (deployment, error) {
	var d deployment
	if err := json.Unmarshal(deploymentJSON, &d); err != nil {
		return d, fmt.Errorf("read the deployment: %w", err)
	}
	return d, nil
}

func (d deployment) buckets() []s3.Bucket {
	return []s3.Bucket{{Name: d.Bucket, Account: HubAccount, Region: HubRegion, Policy: string(d.BucketPolicy)}}
}

// roles returns the hub's roles and the access roles. Those of accounts that
// are strangers expect another external id than the hub's.
func (d deployment) roles(stranger func(account string) bool) []iam.Role {
	var roles []iam.Role
	for _, r := range d.Roles {
		role := iam.Role{Account: r.Account, Name: r.Name, Trust: string(r.Trust)}
		if stranger(r.Account) {
			role.Trust = strings.ReplaceAll(role.Trust, externalID, "another-"+externalID)
		}
		for _, policy := range r.Policies {
			role.Policies = append(role.Policies, string(policy))
		}
		roles = append(roles, role)
	}
	return roles
}

// functions returns the functions with the binaries in a folder.
func (d deployment) functions(binaries string, pollWindow time.Duration) []lambda.Function {
	var functions []lambda.Function
	for _, f := range d.Functions {
		step := strings.TrimPrefix(f.Name, machineName+"-")
		if step == "poll" && pollWindow > 0 {
			f.Environment["POLL_WINDOW"] = pollWindow.String()
		}
		functions = append(functions, lambda.Function{
			Account: HubAccount, Region: HubRegion, Name: f.Name, Binary: filepath.Join(binaries, step),
			RoleARN: f.Role, Environment: f.Environment, MemoryMB: f.MemoryMB,
			Timeout: time.Duration(f.TimeoutSeconds) * time.Second,
		})
	}
	return functions
}

// substitutions returns the values of the definition's placeholders: the ARN of
// the plan function for PlanFunctionArn, and so on.
func (d deployment) substitutions() map[string]string {
	values := map[string]string{}
	for _, f := range d.functions("", 0) {
		step := strings.TrimPrefix(f.Name, machineName+"-")
		values[strings.ToUpper(step[:1])+step[1:]+"FunctionArn"] = f.ARN()
	}
	return values
}
