package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/cdk/config"
)

// deployed is the part of a deployment that the local world starts from.
type deployed struct {
	// Of the hub.
	Account, Region string

	Bucket       string
	BucketPolicy json.RawMessage
	Roles        []deployedRole
	Functions    []deployedFunction
	// Substitutions are those of the definition.
	Substitutions map[string]string
	// Policies are the managed policies for people and other workflows.
	Policies map[string]json.RawMessage
}

type deployedRole struct {
	Account, Name string
	Trust         json.RawMessage
	Policies      []json.RawMessage
}

type deployedFunction struct {
	Name, Role     string
	TimeoutSeconds int
	MemoryMB       int
	Environment    map[string]string
}

// TestLocalDeployment keeps the JSON files in local/world/deployments equal to what
// this app synthesises of the configurations beside them, so that the workflow runs
// locally under the very IAM statements, timeouts and environments that it is
// deployed with.
func TestLocalDeployment(t *testing.T) {
	configurations, err := filepath.Glob("../local/world/deployments/*.yaml")
	must(t, err)
	if len(configurations) < 3 {
		t.Fatalf("found only %q", configurations)
	}
	for _, file := range configurations {
		t.Run(filepath.Base(file), func(t *testing.T) { testLocalDeployment(t, file) })
	}
}

func testLocalDeployment(t *testing.T, file string) {
	c, err := config.Load(file)
	must(t, err)
	s := synthesize(t, c)
	hub := s.hub(t)
	out := deployed{
		Account:      hub.account,
		Region:       hub.region,
		Bucket:       hub.text(t, hub.Outputs["RunBucketName"]["Value"]),
		BucketPolicy: json.RawMessage(hub.document(t, hub.only(t, "AWS::S3::BucketPolicy").Properties["PolicyDocument"])),
		Roles:        rolesOf(t, hub),
		Functions:    functionsOf(t, hub),

		Substitutions: hub.substitutions(t), Policies: map[string]json.RawMessage{},
	}
	for _, name := range people {
		out.Policies[name] = json.RawMessage(hub.managedPolicy(t, name))
	}
	for _, account := range c.Accounts {
		out.Roles = append(out.Roles, rolesOf(t, s.role(t, account))...)
	}
	got, err := json.MarshalIndent(out, "", "  ")
	must(t, err)
	got = append(got, '\n')

	golden := strings.TrimSuffix(file, ".yaml") + ".json"
	if *update {
		must(t, os.WriteFile(golden, got, 0o600))
	}
	if want := read(t, golden); !bytes.Equal(got, want) {
		t.Errorf("what is synthesised is not %s; look at the difference, then `go test ./cdk -update`\n%s", golden, firstDifference(got, want))
	}
}

func rolesOf(t *testing.T, from template) []deployedRole {
	t.Helper()
	var roles []deployedRole
	for id, r := range from.Resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		role := deployedRole{Account: from.account, Name: from.text(t, r.Properties["RoleName"]),
			Trust: json.RawMessage(from.document(t, r.Properties["AssumeRolePolicyDocument"]))}
		for _, policy := range from.policiesOf(t, id) {
			role.Policies = append(role.Policies, json.RawMessage(policy))
		}
		slices.SortFunc(role.Policies, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
		roles = append(roles, role)
	}
	slices.SortFunc(roles, func(a, b deployedRole) int { return strings.Compare(a.Name, b.Name) })
	return roles
}

func functionsOf(t *testing.T, from template) []deployedFunction {
	t.Helper()
	var functions []deployedFunction
	for _, r := range from.ofType("AWS::Lambda::Function") {
		f := deployedFunction{
			Name:           from.text(t, r.Properties["FunctionName"]),
			Role:           from.text(t, r.Properties["Role"]),
			TimeoutSeconds: int(r.Properties["Timeout"].(float64)),
			MemoryMB:       int(r.Properties["MemorySize"].(float64)),
			Environment:    map[string]string{},
		}
		if r.Properties["Environment"] != nil {
			for name, value := range r.at("Environment", "Variables").(map[string]any) {
				f.Environment[name] = from.text(t, value)
			}
		}
		functions = append(functions, f)
	}
	slices.SortFunc(functions, func(a, b deployedFunction) int { return cmp.Compare(a.Name, b.Name) })
	return functions
}
