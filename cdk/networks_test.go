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
	definition, err := statemachine.Substitute(hub.substitutions(t))
	must(t, err)
	networks := map[contract.Target]string{
		{Account: "222222222222", Region: "eu-west-1", Cluster: "analytics"}: "",
		{Account: "222222222222", Region: "us-east-1", Cluster: "billing"}:   "-us",
		{Account: "333333333333", Region: "eu-west-1", Cluster: "payments"}:  "",
		{Account: "333333333333", Region: "us-east-1", Cluster: "payments"}:  "-payments-us",
		{Account: "333333333333", Region: "us-west-2", Cluster: "payments"}:  "-us",
	}
	var targets []contract.TargetItem
	for target := range networks {
		targets = append(targets, contract.TargetItem{Target: target})
	}
	body, err := json.Marshal(targets)
	must(t, err)
	replies := map[string]string{
		"Plan":            planned(`{"action": "work", "phase": {"number": 1}, "itemsKey": "items.json", "resultsPrefix": "results/1", "maxConcurrency": 9, "counts": {}}`),
		"Resolve cluster": `{"cluster": {}, "mappings": []}`,
		"Apply resource":  `{"mapping": {}, "applied": {}, "seen": {}, "deadline": "2099-01-01T00:00:00Z"}`,
		"Poll resource":   `{"status": "Ready", "more": false, "seen": {}, "window": 1, "pauseSeconds": 0, "result": {"outcome": "Ready"}}`,
		"Review":          `{"action": "report", "reason": "", "counts": {}}`,
		"Report":          reported,
	}
	out := asltest.Run(t, asltest.Case{Definition: definition, Objects: asltest.Objects{"runs/items.json": string(body)},
		Functions: asltest.Functions{
			"":                 func(_ context.Context, call asltest.Call) asltest.Reply { return asltest.Output(replies[call.State]) },
			"events:putEvents": func(context.Context, asltest.Call) asltest.Reply { return asltest.Output("{}") },
		}})
	if len(out.Children) != len(targets) {
		t.Fatalf("%s, %s: %d children, want %d", out.Error, out.Cause, len(out.Children), len(targets))
	}
	var called []string
	for _, call := range out.Calls {
		if _, function, ok := strings.Cut(call, ":crossapply-"); ok {
			called = append(called, "crossapply-"+function)
		}
	}
	want := []string{"crossapply-plan:1", "crossapply-review:1", "crossapply-report:1"}
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
