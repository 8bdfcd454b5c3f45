package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/cdk/access"
	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// accessFiles are the templates of a configuration's access that are compared
// with what was reviewed: one of each sort.
func accessFiles(s synthesis) map[string]string {
	files := map[string]string{}
	if s.config.StackSet == nil {
		account := s.config.Accounts[0]
		id := access.StackID(account.ID)
		files["access-role"] = filepath.Join(s.dir, id+templateSuffix)
		files["access-entry"] = filepath.Join(s.dir, access.EntryStackID(account.ID, account.Clusters[0])+templateSuffix)
		return files
	}
	unit := s.config.StackSet.OrganizationalUnitIDs[0]
	files["stackset-role"] = filepath.Join(s.dist, accessDir, "role"+templateSuffix)
	files["stackset-entries"] = filepath.Join(s.dist, accessDir, "entries-1"+templateSuffix)
	files["stacksets-roles"] = filepath.Join(s.dir, s.rolesStack(unit)+templateSuffix)
	files["stacksets-entries"] = filepath.Join(s.dir, entriesStack(unit, 1)+templateSuffix)
	return files
}

func (s synthesis) rolesStack(unit string) string {
	id := "crossapply-access-" + unit + "-roles-" + s.config.StackSet.HomeRegion
	if s.config.StackSet.AllAccounts {
		id += "-all"
	}
	return id
}

func entriesStack(unit string, number int) string {
	return fmt.Sprintf("crossapply-access-%s-entries-%d", unit, number)
}

// wantEntry checks the access entry of a cluster.
func (s synthesis) wantEntry(t *testing.T, in template, account, cluster string) {
	t.Helper()
	entry := in.named(t, "AWS::EKS::AccessEntry", "ClusterName", cluster)
	entry.want(t, s.config.RoleARN(account, s.config.AccessRoleName), "PrincipalArn")
	entry.want(t, "[crossapply]", "KubernetesGroups")
	entry.want(t, "STANDARD", "Type")
	policies, _ := entry.Properties["AccessPolicies"].([]any)
	if len(policies) != len(s.config.AccessPolicies) {
		t.Errorf("the entry of %s has %d access policies, want %d", cluster, len(policies), len(s.config.AccessPolicies))
	}
	for i, policy := range s.config.AccessPolicies {
		entry.want(t, "arn:"+in.partition()+":eks::aws:cluster-access-policy/"+policy.Name, "AccessPolicies", i, "PolicyArn")
		scope := "cluster"
		if len(policy.Namespaces) > 0 {
			scope = "namespace"
			entry.want(t, fmt.Sprint(policy.Namespaces), "AccessPolicies", i, "AccessScope", "Namespaces")
		}
		entry.want(t, scope, "AccessPolicies", i, "AccessScope", "Type")
	}
}

// The role has a stack of its own in the account's home Region, and each cluster
// one after it: whatever becomes of a cluster's, no other's is concerned.
func testAccess(t *testing.T, s synthesis) {
	artifacts := s.artifacts(t)
	want := map[string]bool{"crossapply": true}
	for _, account := range s.config.Accounts {
		id := access.StackID(account.ID)
		want[id] = true
		checkStack(t, id, artifacts[id], account.ID, s.config.Home(account), nil)
		role := s.role(t, account)
		role.only(t, "AWS::IAM::Role")
		if len(role.Resources) != 1 {
			t.Errorf("%s holds %d resources beside the role", id, len(role.Resources)-1)
		}
		for _, cluster := range account.Clusters {
			part := strings.ReplaceAll(cluster.Name, "made_elsewhere", "made-elsewhere-adcdfaaf")
			one := id + "-" + cluster.Region + "-" + part
			want[one] = true
			checkStack(t, one, artifacts[one], account.ID, cluster.Region, []string{id})
			in := readTemplate(t, filepath.Join(s.dir, one+templateSuffix), account.ID, cluster.Region)
			if cluster.WithoutEntry {
				in.only(t, "AWS::CloudFormation::WaitConditionHandle")
			} else {
				s.wantEntry(t, in, account.ID, cluster.Name)
			}
			if len(in.Resources) != 1 {
				t.Errorf("%s holds %d resources", one, len(in.Resources))
			}
		}
	}
	if got := slices.Sorted(maps.Keys(artifacts)); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		t.Errorf("the stacks are %q, want %q", got, slices.Sorted(maps.Keys(want)))
	}
	testHandOuts(t, s)
}

// checkStack checks that a stack lies where it should, comes after others, and
// needs no bootstrapping there.
func checkStack(t *testing.T, id string, a artifact, account, region string, after []string) {
	t.Helper()
	if want := "aws://" + account + "/" + region; a.Environment != want {
		t.Errorf("%s is deployed to %s, want %s", id, a.Environment, want)
	}
	if a.Properties.AssumeRoleARN != "" || a.Properties.RequiresBootstrapStackVersion != 0 {
		t.Errorf("%s: the stack must be deployable without bootstrapping: %+v", id, a.Properties)
	}
	if !slices.Equal(a.Dependencies, after) {
		t.Errorf("%s depends on %q, want %q", id, a.Dependencies, after)
	}
}

// What an account's team gets is what the CDK would deploy there, and tells
// nothing of other accounts.
func testHandOuts(t *testing.T, s synthesis) {
	for _, account := range s.config.Accounts {
		dir := filepath.Join(s.dist, accessDir, account.ID)
		files := listing(t, dir)
		if len(files) != 1+len(account.Clusters) || !slices.Contains(files, "role."+s.config.Home(account)+templateSuffix) {
			t.Errorf("%s is handed %q", account.ID, files)
		}
		for _, file := range files {
			body := read(t, filepath.Join(dir, file))
			for _, other := range s.config.Accounts {
				if other.ID != account.ID && bytes.Contains(body, []byte(other.ID)) {
					t.Errorf("%s of %s names %s", file, account.ID, other.ID)
				}
			}
		}
	}
}

// Each unit has the roles' StackSet and then those of the entries, all of them in
// stacks of their own, whose names say where the roles are.
func testStackSets(t *testing.T, s synthesis) {
	artifacts := s.artifacts(t)
	want := []string{"crossapply"}
	for _, unit := range s.config.StackSet.OrganizationalUnitIDs {
		before := s.rolesStack(unit)
		want = append(want, before)
		if _, ok := artifacts[before]; !ok {
			t.Errorf("there is no stack %s", before)
		}
		for i := range s.config.StackSet.Templates {
			id := entriesStack(unit, i+1)
			want = append(want, id)
			if !slices.Contains(artifacts[id].Dependencies, before) {
				t.Errorf("%s depends on %q, and must on %s", id, artifacts[id].Dependencies, before)
			}
			before = id
		}
		testStackSetsOf(t, s, unit)
	}
	if got := slices.Sorted(maps.Keys(artifacts)); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		t.Errorf("the stacks are %q, want %q", got, want)
	}
	for id, a := range artifacts {
		if a.Properties.TerminationProtection != s.config.TerminationProtection && id != "crossapply" {
			t.Errorf("%s: termination protection is %t", id, a.Properties.TerminationProtection)
		}
	}
	testEntriesTemplates(t, s)
	testNewAccount(t, s)
}

func testStackSetsOf(t *testing.T, s synthesis, unit string) {
	set := s.config.StackSet
	stackSet := func(id string) resource {
		in := readTemplate(t, filepath.Join(s.dir, id+templateSuffix), s.config.Hub.Account, s.config.Hub.Region)
		found := in.only(t, "AWS::CloudFormation::StackSet")
		found.want(t, id, "StackSetName")
		found.want(t, set.CallAs, "CallAs")
		found.want(t, "SERVICE_MANAGED", "PermissionModel")
		found.want(t, set.Operation.MaxConcurrentPercentage, "OperationPreferences", "MaxConcurrentPercentage")
		found.want(t, *set.Operation.FailureTolerancePercentage, "OperationPreferences", "FailureTolerancePercentage")
		found.want(t, set.Operation.ConcurrencyMode, "OperationPreferences", "ConcurrencyMode")
		found.want(t, set.Operation.RegionConcurrency, "OperationPreferences", "RegionConcurrencyType")
		for i := range found.Properties["StackInstancesGroup"].([]any) {
			found.want(t, "["+unit+"]", "StackInstancesGroup", i, "DeploymentTargets", "OrganizationalUnitIds")
		}
		return found
	}
	roles := stackSet(s.rolesStack(unit))
	roles.want(t, set.AllAccounts, "AutoDeployment", "Enabled")
	roles.want(t, "["+set.HomeRegion+"]", "StackInstancesGroup", 0, "Regions")
	if roles.at("StackInstancesGroup", 1) != nil {
		t.Error("the roles are made in more than one Region")
	}
	if set.AllAccounts {
		roles.want(t, true, "AutoDeployment", "RetainStacksOnAccountRemoval")
		roles.want(t, nil, "StackInstancesGroup", 0, "DeploymentTargets", "Accounts")
	} else {
		roles.want(t, "INTERSECTION", "StackInstancesGroup", 0, "DeploymentTargets", "AccountFilterType")
		if got := len(roles.at("StackInstancesGroup", 0, "DeploymentTargets", "Accounts").([]any)); got != len(s.config.Accounts) {
			t.Errorf("%d accounts get a role, want %d", got, len(s.config.Accounts))
		}
	}
	for i, places := range s.config.Spread() {
		if len(places) == 0 {
			continue
		}
		want, got := map[string]bool{}, map[string]bool{}
		for _, place := range places {
			want[place.Account+" "+place.Region] = true
		}
		entries := stackSet(entriesStack(unit, i+1))
		entries.want(t, false, "AutoDeployment", "Enabled")
		for j := range entries.Properties["StackInstancesGroup"].([]any) {
			entries.want(t, "INTERSECTION", "StackInstancesGroup", j, "DeploymentTargets", "AccountFilterType")
			for _, account := range entries.at("StackInstancesGroup", j, "DeploymentTargets", "Accounts").([]any) {
				got[fmt.Sprint(account, " ", entries.at("StackInstancesGroup", j, "Regions", 0))] = true
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("entries %d go to %v, want %v", i+1, got, want)
		}
	}
}

// Every cluster's entry stands in one template, and is made in its account and
// Region only.
func testEntriesTemplates(t *testing.T, s synthesis) {
	for i, places := range s.config.Spread() {
		if len(places) == 0 {
			continue
		}
		file := filepath.Join(s.dist, accessDir, fmt.Sprintf("entries-%d%s", i+1, templateSuffix))
		if size := len(read(t, file)); size > 1_000_000 {
			t.Errorf("%s has %d bytes", file, size)
		}
		all, made := readTemplate(t, file, "", ""), 0
		for _, place := range places {
			here := conditioned(t, file, place.Account, place.Region)
			if len(here.Resources) != len(place.Clusters) {
				t.Errorf("%+v gets %d entries", place, len(here.Resources))
			}
			for _, cluster := range place.Clusters {
				s.wantEntry(t, here, place.Account, cluster)
			}
			made += len(here.Resources)
		}
		if made != len(all.Resources) || made > 500 {
			t.Errorf("%s holds %d resources, of which %d are for somebody", file, len(all.Resources), made)
		}
	}
}

// An account that joins a unit is reached as the others are, though nothing here
// names it; one of another organisation is not, though it has such a role.
func testNewAccount(t *testing.T, s synthesis) {
	if !s.config.StackSet.AllAccounts {
		return
	}
	w := newWorld(t, s)
	for account, organization := range map[string]string{"777777777777": s.config.OrganizationID, "888888888888": "o-zzzzzzzzzz"} {
		must(t, w.AddAccount(iam.Account{ID: account, Organization: organization}))
		w.put(t, s.role(t, config.Account{ID: account}))
		for _, name := range functionsThat(assumeRoles) {
			session, err := w.AssumeRole(w.as(t, name), iam.AssumeRoleInput{
				RoleARN: s.config.RoleARN(account, s.config.AccessRoleName), SessionName: "e1", ExternalID: &s.config.ExternalID})
			wantRefused(t, name+" assumes the role of "+account, err, organization == s.config.OrganizationID)
			if err == nil {
				testClusters(t, w, session.Caller, config.Account{ID: account, Discovery: true,
					Clusters: []config.Cluster{{Name: "new", Region: "us-east-1"}}}, s.config)
			}
		}
	}
}

// Hundreds of accounts by StackSets, and more entries than one template holds.
func TestFleet(t *testing.T) {
	c := load(t, "organization.yaml")
	c.OrganizationID, c.StackSet.AllAccounts, c.Accounts = "", false, nil
	for i := range 300 {
		account := config.Account{ID: fmt.Sprintf("%012d", 300000000000+i*7919)}
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			account.Clusters = append(account.Clusters, config.Cluster{Name: "payments", Region: region}, config.Cluster{Name: "analytics", Region: region})
		}
		c.Accounts = append(c.Accounts, account)
	}
	c.StackSet.Templates = 4
	raw, err := json.Marshal(c)
	must(t, err)
	c, err = config.Parse(raw, "fleet") // with all its checks
	must(t, err)
	s := synthesize(t, c)
	testGolden(t, "fleet", s)
	testStackSets(t, s)
	testIAM(t, s)
	for id := range s.artifacts(t) {
		file := filepath.Join(s.dir, id+templateSuffix)
		if size := len(read(t, file)); size > 1_000_000 {
			t.Errorf("%s has %d bytes", id, size)
		}
	}
}

// No change of the configuration moves a role, which would break its access
// entries: wherever roles are to be made otherwise, the stack and the StackSet are
// other ones, and those that are there stay.
func TestRolesDoNotMove(t *testing.T) {
	rolesStacks := func(change func(*config.Config)) map[string]string {
		c := load(t, "organization.yaml")
		change(&c)
		s := synthesize(t, c)
		bodies := map[string]string{}
		for _, unit := range c.StackSet.OrganizationalUnitIDs {
			in := readTemplate(t, filepath.Join(s.dir, s.rolesStack(unit)+templateSuffix), hubAccount, c.Hub.Region)
			found := in.only(t, "AWS::CloudFormation::StackSet")
			bodies[found.Properties["StackSetName"].(string)] = fmt.Sprint(found.Properties["StackInstancesGroup"], found.Properties["AutoDeployment"])
		}
		return bodies
	}
	before := rolesStacks(func(*config.Config) {})
	for name, change := range map[string]func(*config.Config){
		"another home": func(c *config.Config) { c.StackSet.HomeRegion = "us-east-1" },
		"the root":     func(c *config.Config) { c.StackSet.OrganizationalUnitIDs = []string{"r-ab12"} },
		"a unit less":  func(c *config.Config) { c.StackSet.OrganizationalUnitIDs = c.StackSet.OrganizationalUnitIDs[1:] },
		"a unit more": func(c *config.Config) {
			c.StackSet.OrganizationalUnitIDs = append(c.StackSet.OrganizationalUnitIDs, "ou-ab12-33333333")
		},
		"named accounts only":       func(c *config.Config) { c.StackSet.AllAccounts = false },
		"another Region of the hub": func(c *config.Config) { c.Hub.Region = "eu-central-1" },
	} {
		t.Run(name, func(t *testing.T) {
			for id, targets := range rolesStacks(change) {
				if was, known := before[id]; known && was != targets {
					t.Errorf("%s had the targets %s, and would have %s", id, was, targets)
				}
			}
		})
	}
}

// The path and the boundary are the access role's too, and whoever names the role
// names its path.
func TestRoleOptions(t *testing.T) {
	c := load(t, "minimal.yaml")
	c.RolePath, c.PermissionsBoundary, c.TerminationProtection = "/platform/", "team/boundary", true
	s := synthesize(t, c)
	account := c.Accounts[0]
	in := s.role(t, account)
	role := in.only(t, "AWS::IAM::Role")
	role.want(t, "/platform/", "Path")
	role.want(t, "arn:aws:iam::222222222222:policy/team/boundary", "PermissionsBoundary")
	trust := in.document(t, role.Properties["AssumeRolePolicyDocument"])
	if !strings.Contains(trust, `"arn:aws:iam::111111111111:role/platform/crossapply-poll"`) {
		t.Errorf("it trusts %s", trust)
	}
	entry := readTemplate(t, filepath.Join(s.dir, "crossapply-access-222222222222-eu-west-1-payments"+templateSuffix), account.ID, "eu-west-1")
	entry.only(t, "AWS::EKS::AccessEntry").want(t, "arn:aws:iam::222222222222:role/platform/crossapply-access", "PrincipalArn")
	for id, a := range s.artifacts(t) {
		if strings.HasPrefix(id, "crossapply-access") && !a.Properties.TerminationProtection {
			t.Errorf("%s is not protected", id)
		}
	}
	hub := s.hub(t)
	for _, name := range functionsThat(assumeRoles) {
		hub.named(t, "AWS::Lambda::Function", "FunctionName", "crossapply-"+name).
			want(t, "platform/crossapply-access", "Environment", "Variables", "ACCESS_ROLE_NAME")
	}
	var assume string
	for id, r := range hub.Resources {
		if r.Type == "AWS::IAM::Role" {
			assume += strings.Join(hub.policiesOf(t, id), "")
		}
	}
	if !strings.Contains(assume, `"arn:aws:iam::222222222222:role/platform/crossapply-access"`) {
		t.Error("no function may assume the role under its path")
	}
}

// The longest of names and ids that the configuration takes keep to IAM's quotas,
// and so do as many clusters as it takes.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html#reference_iam-quotas-entity-length
func TestRoleQuotas(t *testing.T) {
	c := load(t, "govcloud.yaml")
	c.Name, c.AccessRoleName, c.RolePath = strings.Repeat("n", 32), "r", "/"+strings.Repeat("p", 62)+"/"
	c.ExternalID, c.PreviousExternalID = strings.Repeat("e", 500), strings.Repeat("f", 500)
	c.Accounts[0].Discovery, c.Accounts[0].Clusters = false, nil
	for {
		name := fmt.Sprintf("%0100d", len(c.Accounts[0].Clusters))
		more := c
		more.Accounts = []config.Account{c.Accounts[0]}
		more.Accounts[0].Clusters = append(slices.Clone(c.Accounts[0].Clusters), config.Cluster{Name: name, Region: "us-gov-west-1"})
		raw, err := json.Marshal(more)
		must(t, err)
		if _, err := config.Parse(raw, "long"); err != nil {
			if !strings.Contains(err.Error(), "accounts[0].clusters: Forbidden") {
				t.Fatal(err)
			}
			break
		}
		c = more
	}
	s := synthesize(t, c)
	in := s.role(t, c.Accounts[0])
	role := in.only(t, "AWS::IAM::Role")
	if size := len(in.document(t, role.Properties["AssumeRolePolicyDocument"])); size > 2_048 {
		t.Errorf("the trust policy has %d characters", size)
	}
	if size := len(in.document(t, role.at("Policies", 0, "PolicyDocument"))); size > 10_240 || size < 9_500 {
		t.Errorf("the policy for %d clusters has %d characters", len(c.Accounts[0].Clusters), size)
	}
}
