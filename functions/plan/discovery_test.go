package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// cluster is one that discovery finds: "region/name", with tags as key=value.
func cluster(text string) contract.FoundCluster {
	fields := strings.Fields(text)
	region, name, _ := strings.Cut(fields[0], "/")
	c := contract.FoundCluster{Region: region, Name: name}
	for _, tag := range fields[1:] {
		key, value, _ := strings.Cut(tag, "=")
		if c.Tags == nil {
			c.Tags = map[string]string{}
		}
		c.Tags[key] = value
	}
	return c
}

// found are the clusters of an account.
func foundIn(clusters ...string) contract.Found {
	f := contract.Found{Clusters: []contract.FoundCluster{}}
	for _, c := range clusters {
		f.Clusters = append(f.Clusters, cluster(c))
	}
	return f
}

// list is the Map that lists the clusters of an execution's accounts: of each it finds
// some, or the child fails with an error.
func (w world) list(t testing.TB, name string, accounts map[string]contract.Found, failed map[string]fault.Name) {
	t.Helper()
	prefix := runs.Prefix(name)
	for account, found := range accounts {
		w.put(t, prefix+runs.DiscoveredIn(account), jsonOf(t, found))
	}
	var children []map[string]string
	for account, name := range failed {
		children = append(children, map[string]string{
			"Input": fmt.Sprintf(`{"run": {}, "account": %q, "regions": ["eu-west-1"]}`, account), "Status": "FAILED",
			"Error": string(name), "Cause": fmt.Sprintf(`{"errorMessage": "%s: no", "errorType": %q}`, account, name),
		})
	}
	file := prefix + runs.Listing + "/8d6f/FAILED_0.json"
	w.put(t, file, jsonOf(t, children))
	w.put(t, prefix+runs.Listing+"/8d6f/manifest.json", `{"ResultFiles": {"FAILED": [{"Key": "`+file+`", "Size": 1}], "PENDING": [], "SUCCEEDED": []}}`)
}

// targets are those of an execution, in order, with the wave of each where there are
// several.
func (w world) targets(t testing.TB, name string) string {
	t.Helper()
	layout := w.layout(t, name)
	var names []string
	for _, target := range layout.Targets {
		text := target.String()
		if len(layout.Waves) > 1 {
			text = layout.Waves[target.Wave-1].Name + ":" + text
		}
		names = append(names, text)
	}
	return strings.Join(names, " ")
}

func selecting(targets string, more ...string) string {
	fields := map[string]string{"targets": targets}
	for i := 0; i < len(more); i += 2 {
		fields[more[i]] = more[i+1]
	}
	return input(fields)
}

// What selects clusters is planned in two calls: the first says where to look, and the
// second, once the Map was there, lays out what was found. What the first claimed, the
// second finds its own.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	request := selecting(`[`+ledger+`, {"accounts": ["*"], "clusters": ["payments-*"]}, {"organizationalUnits": ["`+bottom+`"], "regions": ["eu-west-1"], "tags": {"env": ["prod", "stage"]}}]`,
		"exclude", `[{"clusters": ["*-lab"]}]`, "idempotencyKey", `"k"`, "labels", `{"commit": "abc"}`)
	for range 2 { // its answer may be lost
		out := w.mustStart(t, "nightly", request)
		want := contract.Discovery{ItemsKey: "runs/nightly/accounts.json", ResultsPrefix: "runs/nightly/listing", MaxConcurrency: 20}
		if out.Next != nil || out.Discovery == nil || *out.Discovery != want || out.Run.Bucket != bucket || out.Run.Prefix != "runs/nightly/" || out.Labels["commit"] != "abc" {
			t.Fatalf("the first call: %+v", out)
		}
	}
	objects := w.objects(t)
	const accounts = `[{"account":"111111111111","regions":["eu-west-1","us-east-1"],"clusters":["payments-*"],"tags":false},` +
		`{"account":"222222222222","regions":["eu-west-1","us-east-1"],"tags":true},` +
		`{"account":"333333333333","regions":["eu-west-1"],"tags":true}]`
	if objects["runs/nightly/accounts.json"] != accounts || len(objects) != 2 { // and the claim
		t.Errorf("wrote %v", objects)
	}
	w.list(t, "nightly", map[string]contract.Found{
		"111111111111": foundIn("us-east-1/payments-b", "us-east-1/payments-c"),
		"222222222222": foundIn("eu-west-1/ledger", "eu-west-1/web env=stage", "us-east-1/payments-a env=dev", "us-east-1/web env=prod", "us-east-1/payments-lab env=prod"),
		"333333333333": foundIn("eu-west-1/other env=prod", "eu-west-1/payments-z env=dev"),
	}, nil)
	out := w.mustStart(t, "nightly", request)
	if out.Discovery != nil || out.Next == nil || out.Total != 6 || len(out.Notes) != 0 {
		t.Errorf("the second call: %+v", out)
	}
	want := "222222222222/us-east-1/ledger " +
		"111111111111/us-east-1/payments-b 111111111111/us-east-1/payments-c " +
		"222222222222/eu-west-1/web 222222222222/us-east-1/payments-a 333333333333/eu-west-1/other"
	if got := w.targets(t, "nightly"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An account that refuses is a failure of its own, or skipped where the request
// tolerates its error; it is no reason to say that a selector selects nothing.
func TestAccountsThatFail(t *testing.T) {
	w := newWorld(t)
	request := selecting(`[{"accounts": ["*"], "clusters": ["a"]}, {"accounts": ["333333333333"], "regions": ["eu-west-1"]}]`,
		"rollout", `{"tolerate": ["CrossApply.AssumeRoleDenied"], "maxFailures": "50%"}`,
		// It may match something in an account that could not be looked into.
		"overrides", `[{"match": {"accounts": ["222222222222"]}, "patch": {"spec": {"partitions": 9}}}]`)
	w.mustStart(t, "nightly", request)
	found := foundIn("eu-west-1/a")
	found.NotEnabled = []string{"us-east-1"}
	w.list(t, "nightly", map[string]contract.Found{"111111111111": found},
		map[string]fault.Name{"222222222222": fault.ListClustersDenied, "333333333333": fault.AssumeRoleDenied})
	out := w.mustStart(t, "nightly", request)
	layout := w.layout(t, "nightly")
	if got := w.targets(t, "nightly"); got != "111111111111/eu-west-1/a" || out.Total != 1 || out.Run.MaxFailures != 1 {
		t.Errorf("the targets are %s, of %+v", got, out)
	}
	want := []contract.Result{
		{Target: contract.Target{Account: "222222222222"}, Outcome: "Failed", Error: "CrossApply.ListClustersDenied", Message: "222222222222: no"},
		{Target: contract.Target{Account: "333333333333"}, Outcome: "Skipped", Error: "CrossApply.AssumeRoleDenied", Message: "333333333333: no"},
	}
	if jsonOf(t, layout.Accounts) != jsonOf(t, want) {
		t.Errorf("the accounts: %+v", layout.Accounts)
	}
	if notes := []string{"Regions that are not enabled have no clusters: us-east-1 in 111111111111."}; !slices.Equal(out.Notes, notes) {
		t.Errorf("the notes: %q", out.Notes)
	}
	objects := w.objects(t)
	if objects["runs/nightly/marks/failed/0/222222222222"] != `{"error":"CrossApply.ListClustersDenied"}` || objects["runs/nightly/marks/failed/0/333333333333"] != "" {
		t.Errorf("the marks are %v", objects)
	}

	// A retry looks into them again, and into no other.
	w.end("nightly")
	w.report(t, "nightly", []contract.Result{{Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "a"}, Outcome: "Ready"}})
	if out := w.mustStart(t, "again", retry("nightly", "")); out.Discovery == nil {
		t.Fatalf("the retry: %+v", out)
	}
	const accounts = `[{"account":"222222222222","regions":["eu-west-1","us-east-1"],"clusters":["a"],"tags":false},{"account":"333333333333","regions":["eu-west-1"],"tags":false}]`
	if got := w.objects(t)["runs/again/accounts.json"]; got != accounts {
		t.Errorf("the retry looks into %s", got)
	}
	w.list(t, "again", map[string]contract.Found{"222222222222": foundIn("us-east-1/a", "us-east-1/b"), "333333333333": foundIn()}, nil)
	w.mustStart(t, "again", retry("nightly", ""))
	if got := w.targets(t, "again"); got != "222222222222/us-east-1/a" {
		t.Errorf("the retry works on %s", got)
	}
}

// What depends on tags is not done to a cluster whose tags could not be read.
func TestTagsOfNamedClusters(t *testing.T) {
	w := newWorld(t)
	request := selecting("["+payments+","+ledger+"]", "overrides", `[{"match": {"tags": {"env": "prod"}}, "patch": {"spec": {"partitions": 9}}}]`)
	if out := w.mustStart(t, "nightly", request); out.Discovery == nil {
		t.Fatalf("the tags are not asked for: %+v", out)
	}
	const accounts = `[{"account":"111111111111","regions":["eu-west-1"],"clusters":["payments"],"tags":true},{"account":"222222222222","regions":["us-east-1"],"clusters":["ledger"],"tags":true}]`
	if got := w.objects(t)["runs/nightly/accounts.json"]; got != accounts {
		t.Errorf("looks into %s", got)
	}
	w.list(t, "nightly", map[string]contract.Found{"111111111111": foundIn("eu-west-1/payments env=prod")}, map[string]fault.Name{"222222222222": fault.ListClustersDenied})
	out := w.mustStart(t, "nightly", request)
	layout := w.layout(t, "nightly")
	if len(layout.Targets) != 1 || !slices.Equal(layout.Targets[0].Overrides, []int{0}) || len(layout.Accounts) != 1 {
		t.Errorf("the layout is %+v", layout)
	}
	if want := "Left out, because the request depends on tags that could not be read: 222222222222/us-east-1/ledger."; !slices.Equal(out.Notes, []string{want}) {
		t.Errorf("the notes: %q", out.Notes)
	}
	// A retry has it again.
	w.end("nightly")
	w.report(t, "nightly", []contract.Result{{Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}, Outcome: "Ready"}})
	w.mustStart(t, "again", retry("nightly", ""))
	if got := w.objects(t)["runs/again/accounts.json"]; got != `[{"account":"222222222222","regions":["us-east-1"],"clusters":["ledger"],"tags":true}]` {
		t.Errorf("the retry looks into %s", got)
	}
}

// A cluster that is named, and left out because its tags could not be read, may be one
// that is excluded: a retry finds out.
func TestRetryKeepsExcludes(t *testing.T) {
	w := newWorld(t)
	request := selecting("["+payments+","+ledger+"]", "exclude", `[{"tags": {"env": "lab"}}]`)
	w.mustStart(t, "nightly", request)
	w.list(t, "nightly", map[string]contract.Found{"111111111111": foundIn("eu-west-1/payments env=prod")}, map[string]fault.Name{"222222222222": fault.ListClustersDenied})
	w.mustStart(t, "nightly", request)
	w.end("nightly")
	for range 2 {
		w.mustStart(t, "again", retry("nightly", ""))
		w.list(t, "again", map[string]contract.Found{"111111111111": foundIn("eu-west-1/payments env=prod"), "222222222222": foundIn("us-east-1/ledger env=lab")}, nil)
	}
	if got := w.targets(t, "again"); got != "111111111111/eu-west-1/payments" {
		t.Errorf("the retry works on %s", got)
	}
}

// An override that matches nothing is no mistake where it may match clusters in an
// account that could not be listed.
func TestOverrideOfAccountThatFails(t *testing.T) {
	w := newWorld(t)
	request := selecting(`[{"accounts": ["*"]}]`, "rollout", `{"maxFailures": 1}`,
		"overrides", `[{"match": {"accounts": ["222222222222"], "clusters": ["b"]}, "patch": {"spec": {"partitions": 9}}}]`)
	w.mustStart(t, "nightly", request)
	w.list(t, "nightly", map[string]contract.Found{"111111111111": foundIn("eu-west-1/a")}, map[string]fault.Name{"222222222222": fault.ListClustersDenied})
	w.mustStart(t, "nightly", request)
	if got := w.targets(t, "nightly"); got != "111111111111/eu-west-1/a" {
		t.Errorf("it works on %s", got)
	}
}

// An account of which the Map says nothing counts as one that failed; so does one that
// the request has only since the Map began.
func TestAccountLost(t *testing.T) {
	w := newWorld(t)
	request := selecting(`[{"accounts": ["*"], "optional": true}]`)
	w.configured.Accounts = "111111111111"
	w.mustStart(t, "nightly", request)
	w.configured.Accounts = "111111111111 222222222222"
	w.list(t, "nightly", nil, nil)
	w.mustStart(t, "nightly", request)
	accounts := w.layout(t, "nightly").Accounts
	for i, want := range strings.Fields(w.configured.Accounts) {
		if len(accounts) != 2 || accounts[i].Account != want || accounts[i].Error != string(fault.ResultUnreadable) || accounts[i].Outcome != "Failed" {
			t.Errorf("the accounts: %+v", accounts)
		}
	}
}

func TestSelectingRefused(t *testing.T) {
	found := map[string]contract.Found{"111111111111": foundIn("eu-west-1/a env=prod", "eu-west-1/b"), "222222222222": foundIn()}
	tests := []struct{ name, request, want string }{
		{"nothing is selected", selecting(`[{"accounts": ["*"], "clusters": ["a"]}, {"accounts": ["*"], "clusters": ["z*"]}]`),
			"targets[1]: Invalid value: selects no cluster"},
		{"nothing is left", selecting(`[{"accounts": ["*"]}]`, "exclude", `[{"clusters": ["a"]}, {"clusters": ["b"]}]`), "exclude: Invalid value: takes out every target"},
		{"an override for nobody", selecting(`[{"accounts": ["*"], "clusters": ["b"]}]`, "overrides", `[{"match": {"clusters": ["b"]}, "patch": {"a": 1}}, {"match": {"tags": {"env": null}}, "patch": {"a": 1}}]`),
			"overrides[1].match: Invalid value: matches none of the targets"},
		{"a target in no wave", selecting(`[{"accounts": ["*"]}]`, "rollout", `{"waves": [{"match": {"tags": {"env": "prod"}}}]}`),
			"rollout.waves: Invalid value: no wave takes 111111111111/eu-west-1/b: with rollout.unmatched"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.mustStart(t, "nightly", test.request)
			w.list(t, "nightly", found, nil)
			before := len(w.objects(t))
			_, err := w.start(t, "nightly", test.request)
			if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if after := len(w.objects(t)); after != before {
				t.Errorf("wrote %d objects", after-before)
			}
		})
	}
}

// Nothing is no mistake where it may be.
func TestSelectingNothing(t *testing.T) {
	w := newWorld(t)
	request := selecting(`[{"accounts": ["*"], "optional": true}]`)
	w.mustStart(t, "nightly", request)
	w.list(t, "nightly", map[string]contract.Found{"111111111111": foundIn(), "222222222222": foundIn()}, nil)
	if out := w.mustStart(t, "nightly", request); out.Total != 0 || out.Next.Action != contract.ActionReport {
		t.Errorf("%+v", out)
	}
}

// Only the organization knows the accounts of its units, those of the configuration
// included.
func TestUnitsInRequests(t *testing.T) {
	w := newWorld(t)
	w.configured.OrganizationalUnits = bottom
	all := selecting(`[{"accounts": ["*"], "regions": ["eu-west-1"]}]`)
	w.mustStart(t, "nightly", all)
	if got := w.objects(t)["runs/nightly/accounts.json"]; strings.Count(got, "account\"") != 3 {
		t.Errorf("looks into %s", got)
	}
	w.organization = nil
	for request, want := range map[string]string{
		all: "targets[0].accounts: Forbidden: the configuration has organizational units",
		selecting("["+payments+"]", "exclude", `[{"organizationalUnits": ["`+bottom+`"]}]`):                                 "exclude[0].organizationalUnits: Forbidden: the configuration of this deployment",
		selecting("["+payments+"]", "rollout", `{"waves": [{"match": {"organizationalUnits": ["`+bottom+`"]}}, {}]}`):       "rollout.waves[0].match.organizationalUnits: Forbidden",
		selecting("["+payments+"]", "overrides", `[{"match": {"organizationalUnits": ["`+bottom+`"]}, "patch": {"a": 1}}]`): "overrides[0].match.organizationalUnits: Forbidden",
	} {
		if _, err := w.start(t, "refused", request); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
