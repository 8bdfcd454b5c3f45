package main

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/statemachine"
)

// Every target is worked on by the functions of the first network that fits it, in
// all steps.
func testNetworks(t *testing.T, s synthesis) {
	hub := s.hub(t)
	values := map[string]string{}
	for name, value := range hub.only(t, "AWS::StepFunctions::StateMachine").Properties["DefinitionSubstitutions"].(map[string]any) {
		values[name] = hub.text(t, value)
	}
	definition, err := statemachine.Substitute(values)
	must(t, err)
	networks := map[contract.Target]string{
		{Account: "222222222222", Region: "eu-west-1", Cluster: "analytics"}: "",
		{Account: "222222222222", Region: "us-east-1", Cluster: "billing"}:   "-us",
		{Account: "333333333333", Region: "eu-west-1", Cluster: "payments"}:  "",
		{Account: "333333333333", Region: "us-east-1", Cluster: "payments"}:  "-payments-us",
		{Account: "333333333333", Region: "us-west-2", Cluster: "payments"}:  "-us",
	}
	var targets []contract.Target
	for target := range networks {
		targets = append(targets, target)
	}
	body, err := json.Marshal(targets)
	must(t, err)
	replies := map[string]string{
		"Plan":            `{"run": {"bucket": "runs", "prefix": "runs/run/", "ready": {}}, "targetsKey": "targets.json", "resultsPrefix": "results", "maxConcurrency": 9}`,
		"Resolve cluster": `{"cluster": {}, "mapping": {}}`,
		"Apply resource":  `{"applied": {}, "seen": {}, "deadline": "2099-01-01T00:00:00Z"}`,
		"Poll resource":   `{"status": "Ready", "seen": {}, "window": 1, "pauseSeconds": 0, "result": {"outcome": "Ready"}}`,
		"Report":          `{"status": "Succeeded"}`,
	}
	out := asltest.Run(t, asltest.Case{Definition: definition, Objects: asltest.Objects{"runs/targets.json": string(body)},
		Functions: asltest.Functions{"": func(_ context.Context, call asltest.Call) asltest.Reply { return asltest.Output(replies[call.State]) }}})
	if len(out.Children) != len(targets) {
		t.Fatalf("%s, %s: %d children, want %d", out.Error, out.Cause, len(out.Children), len(targets))
	}
	var called []string
	for _, call := range out.Calls {
		called = append(called, call[strings.Index(call, ":crossapply-")+1:])
	}
	want := []string{"crossapply-plan:1", "crossapply-report:1"}
	for _, network := range networks {
		for _, step := range []string{"resolve", "apply", "poll"} {
			want = append(want, "crossapply-"+step+network+":1")
		}
	}
	slices.Sort(called)
	slices.Sort(want)
	if !slices.Equal(called, want) {
		t.Errorf("called %q\nwant   %q", called, want)
	}
	for network, subnet := range map[string]string{"": "1", "-payments-us": "2", "-us": "3"} {
		f := hub.named(t, "AWS::Lambda::Function", "FunctionName", "crossapply-poll"+network)
		f.want(t, "subnet-0000000000000000"+subnet, "VpcConfig", "SubnetIds", 0)
		if role := hub.text(t, f.Properties["Role"]); role != s.config.RoleARN(hubAccount, "crossapply-poll") {
			t.Errorf("crossapply-poll%s runs as %s, which access roles do not trust", network, role)
		}
	}
}
