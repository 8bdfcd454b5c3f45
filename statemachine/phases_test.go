package statemachine_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/shared/contract"
)

// A phase after the other is worked on, each with its own items, limits and results.
func TestPhases(t *testing.T) {
	canary, rest := wave(1, "canary"), wave(2, "rest")
	rest.MaxConcurrency = 7
	var reviews []contract.ReviewInput
	var items []contract.Item
	var reports []contract.ReportInput
	done := end("every wave has ended")
	out := script{
		plan:    returns(planned(canary)),
		resolve: asked(&items, asltest.Replies(asltest.Output(resolved))),
		review:  asked(&reviews, returns(after(canary, rest), after(rest, done))),
		report:  asked(&reports, asltest.Replies(asltest.Output(reported))),
	}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat(begin, phase, phase, succeeds))
	if len(items) != 2 || items[0].Phase != *canary.Phase || items[1].Phase != *rest.Phase || items[1].Run.Name != "run" {
		t.Errorf("the targets were worked on as %+v", items)
	}
	wantReviews := []contract.ReviewInput{
		{Execution: asltest.ExecutionARN, Name: "run", Last: canary},
		{Execution: asltest.ExecutionARN, Name: "run", Last: after(canary, rest)},
	}
	if !reflect.DeepEqual(reviews, wantReviews) {
		t.Errorf("the reviews:\ngot  %+v\nwant %+v", reviews, wantReviews)
	}
	last := after(rest, done)
	if want := []contract.ReportInput{{Execution: asltest.ExecutionARN, Last: &last}}; !reflect.DeepEqual(reports, want) {
		t.Errorf("report was asked %+v", reports)
	}
	for _, prefix := range []string{"results/1/", "results/2/"} {
		if !slices.ContainsFunc(slices.Sorted(maps.Keys(out.Objects)), func(key string) bool { return strings.HasPrefix(key, "runs/"+prefix) }) {
			t.Errorf("no results below %s among %q", prefix, slices.Sorted(maps.Keys(out.Objects)))
		}
	}
}

// A check and a rollback go the way of a wave, with another operation: what lies in
// their items reaches the functions.
func TestCheckAndRollback(t *testing.T) {
	first := wave(1, "1")
	check, rollback := work(2, contract.PhaseCheck, "1", "verify"), work(3, contract.PhaseRollback, "1", "rollback")
	var items []contract.Item
	var applies []contract.ApplyInput
	out := script{
		plan:    returns(planned(first)),
		targets: `[{"target": {"account": "1", "region": "r", "cluster": "c"}, "overrides": [4], "stood": [{"uid": "u", "generation": 2}]}]`,
		resolve: asked(&items, asltest.Replies(asltest.Output(resolved))),
		apply:   asked(&applies, asltest.Replies(asltest.Output(applied))),
		review:  returns(after(first, check), after(check, rollback), after(rollback, end("1 failed"))),
	}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat(begin, phase, phase, phase, succeeds))
	want := contract.TargetItem{Target: contract.Target{Account: "1", Region: "r", Cluster: "c"}, Overrides: []int{4}, Stood: []contract.Stood{{UID: "u", Generation: 2}}}
	for i, does := range []contract.Operation{"apply", "verify", "rollback"} {
		if items[i].Phase.Operation != does || !reflect.DeepEqual(items[i].TargetItem, want) || applies[i].Phase.Operation != does || !reflect.DeepEqual(applies[i].TargetItem, want) {
			t.Errorf("%s: resolve was asked %+v, apply %+v", does, items[i], applies[i])
		}
	}
	for _, child := range out.Children {
		expectRoute(t, "a target", child.Route, readyRoute)
	}
}

// It is waited until the time that review says, and asked again.
func TestWait(t *testing.T) {
	// The clock of the tests starts at the turn of the millennium.
	until := time.Date(2000, 1, 1, 6, 0, 0, 0, time.UTC)
	first := wave(1, "1")
	wait := contract.Next{Action: contract.ActionWait, Phase: first.Phase, Until: &until, Counts: map[contract.Outcome]int{}}
	var reviews []contract.ReviewInput
	out := script{plan: returns(planned(wait)), review: asked(&reviews, returns(first, after(first, end(""))))}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat(begin, []string{"Wait", "Review", "Next phase?"}, phase, succeeds))
	if out.Duration < 6*time.Hour || out.Duration > 6*time.Hour+time.Minute {
		t.Errorf("it took %s", out.Duration)
	}
	if want := []contract.ReviewInput{{Execution: asltest.ExecutionARN, Name: "run", Last: wait}, {Execution: asltest.ExecutionARN, Name: "run", Last: first}}; !reflect.DeepEqual(reviews, want) {
		t.Errorf("review was asked %+v", reviews)
	}
}

// Whatever answers a request for approval, review learns what it was; only that one.
func TestApproval(t *testing.T) {
	ask := contract.Next{Action: contract.ActionApprove, Phase: wave(1, "production").Phase, Total: 7, TimeoutSeconds: 600, Counts: map[contract.Outcome]int{"Ready": 3}}
	yes := func(message string) contract.Approval { return contract.Approval{Approved: true, Message: message} }
	long := strings.Repeat("x", 1_000)
	tests := []struct {
		name   string
		answer asltest.Reply
		want   contract.Approval
	}{
		{"yes", asltest.Output(`{}`), yes("")},
		{"with words", asltest.Output(`{"message": "alice: CHG-7"}`), yes("alice: CHG-7")},
		{"with many", asltest.Output(`{"message": "` + long + `"}`), yes(long[:400])},
		{"with words of another type", asltest.Output(`{"message": {"by": "alice"}}`), yes(`{"by":"alice"}`)},
		{"in a text", asltest.Output(`"yes"`), yes("")},
		{"in nothing", asltest.Output(`null`), yes("")},
		{"in a list", asltest.Output(`[]`), yes("")},
		{"yes, in so many words", asltest.Output(`{"approved": true}`), yes("")},
		{"no, in words of another type", asltest.Output(`{"approved": "false"}`), contract.Approval{}},
		{"no, in less", asltest.Output(`{"approved": null}`), contract.Approval{}},
		{"no, in the least", asltest.Output(`false`), contract.Approval{}},
		{"no, in the same words", asltest.Output(`{"approved": false, "message": "not on a Friday"}`), contract.Approval{Message: "not on a Friday"}},
		{"no", asltest.Fail("Rejected", "not on a Friday"), contract.Approval{Message: "Rejected: not on a Friday"}},
		{"no, without a reason", asltest.Fail("Rejected", ""), contract.Approval{Message: "Rejected"}},
		{"no, with a long one", asltest.Fail("No", long), contract.Approval{Message: "No: " + long[:396]}},
		{"late", asltest.Output(`{}`).After(601 * time.Second), contract.Approval{Message: "nobody answered in time"}},
		{"never", asltest.Hang(), contract.Approval{Message: "nobody answered in time"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var reviews []contract.ReviewInput
			first := wave(1, "production")
			out := script{plan: returns(planned(ask)), approval: asltest.Replies(test.answer), review: asked(&reviews, returns(first, after(first, end(""))))}.run(t)
			expectRoute(t, "the execution", out.Route, slices.Concat(begin, []string{"Request approval", "Review", "Next phase?"}, phase, succeeds))
			want := []contract.ReviewInput{
				{Execution: asltest.ExecutionARN, Name: "run", Last: ask, Approval: &test.want},
				{Execution: asltest.ExecutionARN, Name: "run", Last: first},
			}
			if !reflect.DeepEqual(reviews, want) {
				t.Errorf("review was asked:\ngot  %s\nwant %s", text(reviews), text(want))
			}
		})
	}
}

// The request itself may fail to be sent for a while; that it cannot be sent at all is
// a no.
func TestApprovalThatCannotBeRequested(t *testing.T) {
	ask := contract.Next{Action: contract.ActionApprove, Phase: wave(1, "1").Phase, TimeoutSeconds: 600}
	for _, test := range []struct {
		err      string
		approved bool
	}{{"EventBridge.FailedEntry", true}, {"EventBridge.AccessDeniedException", false}} {
		var reviews []contract.ReviewInput
		script{plan: returns(planned(ask)), approval: asltest.Replies(asltest.Fail(test.err, ""), asltest.Output(`{}`)), review: asked(&reviews, returns(end("")))}.run(t)
		if len(reviews) != 1 || reviews[0].Approval.Approved != test.approved {
			t.Errorf("%s: %s", test.err, text(reviews))
		}
	}
}

// event is an entry of PutEvents.
type event struct {
	EventBusName, Source, DetailType string
	Detail                           map[string]any
}

func sent(calls []struct{ Entries []event }) []event {
	var all []event
	for _, call := range calls {
		all = append(all, call.Entries...)
	}
	return all
}

// Every event says what it is about in the same words, and what has happened.
func TestEvents(t *testing.T) {
	first := wave(1, "canary")
	ask := contract.Next{Action: contract.ActionApprove, Phase: wave(2, "rest").Phase, Total: 7, TimeoutSeconds: 600, Counts: map[contract.Outcome]int{"Ready": 1}}
	var calls, asks []struct{ Entries []event }
	script{
		plan:     returns(planned(first)),
		review:   returns(after(first, ask), end("")),
		event:    asked(&calls, asltest.Replies(asltest.Output(`{}`))),
		approval: asked(&asks, asltest.Replies(asltest.Output(`{}`))),
	}.run(t)
	about := func(more string) map[string]any {
		var detail map[string]any
		common := `{"execution": "` + asltest.ExecutionARN + `", "operation": "apply", "resources": [{"apiVersion": "kafka/v1", "kind": "Topic", "name": "orders"}],
			"labels": {"commit": "1a2b"}, "plan": false, "dryRun": false, "total": 1`
		if err := json.Unmarshal([]byte(common+more+"}"), &detail); err != nil {
			t.Fatal(err)
		}
		return detail
	}
	asking := sent(asks)
	if token, _ := asking[0].Detail["taskToken"].(string); token == "" {
		t.Error("the request for approval has no token")
	}
	delete(asking[0].Detail, "taskToken")
	want := []event{
		{"EventBusName", "crossapply", "crossapply Execution Started", about("")},
		{"EventBusName", "crossapply", "crossapply Phase Ended", about(`, "phase": ` + text(after(first, ask).Ended) + `, "counts": {"Ready": 1}, "next": "approve", "reason": ""`)},
		{"EventBusName", "crossapply", "crossapply Execution Ended", about(`, "counts": {"Ready": 1}, "status": "Succeeded", "message": "all is well", "report": "s3://runs/report.json"`)},
		{"EventBusName", "crossapply", "crossapply Approval Requested", about(`, "wave": "rest", "targets": 7, "counts": {"Ready": 1}, "timeoutSeconds": 600`)},
	}
	for i, got := range append(sent(calls), asking...) {
		if !reflect.DeepEqual(got, want[i]) {
			t.Errorf("got  %+v\nwant %+v", got, want[i])
		}
	}
}

// Events that cannot be sent, or lead nowhere, do not hurt.
func TestEventsThatCannotBeSent(t *testing.T) {
	for _, reply := range []asltest.Reply{asltest.Fail("EventBridge.AccessDeniedException", "no"), asltest.Hang()} {
		out := script{event: asltest.Replies(reply)}.run(t)
		expectRoute(t, "the execution", out.Route, succeededRoute)
		if out.Status != types.ExecutionStatusSucceeded || out.Output != compact(reported) {
			t.Errorf("%s with %s", out.Status, out.Output)
		}
	}
	out := script{event: asltest.Replies(asltest.Fail("EventBridge.FailedEntry", "")), report: asltest.Replies(asltest.Output(`{"status": "Failed"}`))}.run(t)
	if out.Error != "CrossApply.RolloutFailed" || out.Cause != `{"status":"Failed"}` {
		t.Errorf("%s: %s", out.Error, out.Cause)
	}
}

// Of an answer that lacks what the events tell, they tell what there is.
func TestEventOfAPlanWithoutResources(t *testing.T) {
	var calls []struct{ Entries []event }
	plan := planned(end("nothing to do"))
	plan.Run.Resources, plan.Labels = nil, nil
	out := script{plan: returns(plan), event: asked(&calls, asltest.Replies(asltest.Output(`{}`))), report: asltest.Replies(asltest.Output(`{"status": "Succeeded"}`))}.run(t)
	if out.Status != types.ExecutionStatusSucceeded || len(calls) != 2 {
		t.Errorf("%s after %d events", out.Status, len(calls))
	}
}

// The clusters of accounts are listed before plan is asked again; an account that
// refuses ends its own child.
func TestDiscovery(t *testing.T) {
	plan := planned(wave(1, "1"))
	look := plan
	look.Next, look.Discovery = nil, &contract.Discovery{ItemsKey: "accounts.json", ResultsPrefix: "listing", MaxConcurrency: 1}
	var plans []contract.PlanInput
	var lists []contract.DiscoverInput
	out := script{
		plan:     asked(&plans, returns(look, plan)),
		discover: asked(&lists, asltest.Replies(asltest.Output(`{"account": "1", "clusters": 3}`), asltest.Fail("CrossApply.ListClustersDenied", cause("no")))),
	}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat([]string{"Plan", "Planned?", "Discover clusters"}, succeededRoute))
	if len(plans) != 2 || !reflect.DeepEqual(plans[0], plans[1]) {
		t.Errorf("plan was asked %+v", plans)
	}
	if want := (contract.ConfiguredTargets{Accounts: "ConfiguredAccounts", OrganizationalUnits: "ConfiguredUnits", Regions: "ConfiguredRegions"}); plans[0].Configured != want {
		t.Errorf("plan was told of %+v", plans[0].Configured)
	}
	want := []contract.DiscoverInput{
		{Run: look.Run, Account: contract.Account{Account: "1", Regions: []string{"r"}, Tags: true}},
		{Run: look.Run, Account: contract.Account{Account: "2", Regions: []string{"r"}, Clusters: []string{"a*"}}},
	}
	if !reflect.DeepEqual(lists, want) {
		t.Errorf("discover was asked %+v", lists)
	}
	if got := []string{out.Children[0].Output, out.Children[1].Error}; !slices.Equal(got, []string{`{"account":"1","clusters":3}`, "CrossApply.ListClustersDenied"}) {
		t.Errorf("the accounts ended with %q", got)
	}
}

// A preview touches nothing.
func TestPreview(t *testing.T) {
	plan := planned(end("the request is for the plan alone"))
	plan.Preview = true
	out := script{plan: returns(plan)}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat(begin, succeeds))
	if len(out.Children) > 0 {
		t.Error("it has children")
	}
}

// Where review fails for good, nothing more is started, and the report says why.
func TestReviewThatFails(t *testing.T) {
	var reports []contract.ReportInput
	out := script{
		review: asltest.Replies(asltest.Fail("CrossApply.AWSError", cause("AccessDenied"))),
		report: asked(&reports, asltest.Replies(asltest.Output(`{"status": "Failed"}`))),
	}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat(begin, []string{"Work on targets", "Review", "Report", "Send end event", "Succeeded?", "Rollout failed"}))
	want := []contract.ReportInput{{Execution: asltest.ExecutionARN, RolloutError: &contract.StateError{Error: "CrossApply.AWSError", Cause: cause("AccessDenied")}}}
	if !reflect.DeepEqual(reports, want) {
		t.Errorf("report was asked %s", text(reports))
	}
	passes := script{review: asltest.Replies(asltest.Fail("CrossApply.AWSUnavailable", ""), asltest.Output(text(after(wave(1, "1"), end("")))))}.run(t)
	expectRoute(t, "one that passes", passes.Route, succeededRoute)
}

// The resources of a target are worked on one after the other: each is told what became
// of those before, and waited for in windows of its own.
func TestSeveralResources(t *testing.T) {
	const result = `{"account": "1", "region": "r", "cluster": "c", "outcome": "Ready", "message": "%"}`
	done := func(n string, more bool) string {
		return `"result": ` + strings.Replace(result, "%", n, 1) + `, "more": ` + text(more)
	}
	waits := func(mapping string) asltest.Reply {
		return asltest.Output(strings.Replace(applied, `"plural": "topics"`, `"plural": "`+mapping+`"`, 1))
	}
	var applies []contract.ApplyInput
	var polls []contract.PollInput
	out := script{
		apply: asked(&applies, asltest.Replies(
			asltest.Output(`{"mapping": {"plural": "namespaces"}, "applied": {}, "seen": {}, "deadline": "2099-01-01T00:15:00Z", `+done("one", true)+`}`), waits("topics"), waits("users"))),
		poll: asked(&polls, asltest.Replies(waiting(1, 5),
			asltest.Output(`{"status": "Ready", "seen": {}, "window": 2, `+done("two", true)+`}`),
			asltest.Output(`{"status": "Ready", "seen": {}, "window": 1, `+done("three", false)+`}`))),
	}.run(t)
	expectRoute(t, "the target", out.Children[0].Route, []string{"Resolve cluster", "Apply resource", "Anything to wait for?",
		"Apply resource", "Anything to wait for?", "Poll resource", "Ready?", "Pause", "Poll resource", "Ready?",
		"Apply resource", "Anything to wait for?", "Poll resource", "Ready?", "Target done"})
	if !strings.Contains(out.Children[0].Output, `"three"`) {
		t.Errorf("it ended with %s", out.Children[0].Output)
	}
	var before []string
	for i, in := range applies {
		if in.Step != i || len(in.Mappings) != 1 || in.Cluster.Endpoint != "https://c" {
			t.Errorf("apply %d was asked %+v", i, in)
		}
		if in.Result != nil {
			before = append(before, in.Result.Message)
		}
	}
	if !slices.Equal(before, []string{"one", "two"}) {
		t.Errorf("before each were %q", before)
	}
	var polled []string
	for _, in := range polls {
		polled = append(polled, text([]any{in.Step, in.Mapping.Plural, in.Window, in.Result.Message}))
	}
	if want := []string{`[1,"topics",0,"one"]`, `[1,"topics",1,"one"]`, `[2,"users",0,"two"]`}; !slices.Equal(polled, want) {
		t.Errorf("poll was asked %q", polled)
	}
}

// A target that was changed and could not be brought back has failed, whatever the
// request tolerates.
func TestNothingIsToleratedInARollback(t *testing.T) {
	const met = "CrossApply.ClusterNotActive"
	plan := planned(work(1, contract.PhaseRollback, "1", "rollback"))
	plan.Run.Tolerate = []string{met}
	out := script{plan: returns(plan), resolve: asltest.Replies(asltest.Fail(met, cause("DELETING")))}.run(t)
	if out.Children[0].Error != met {
		t.Errorf("it ended by %q with %s", out.Children[0].Route, out.Children[0].Output)
	}
}

// An error that rollout.tolerate names leaves no mark, wherever it is met.
func TestTolerated(t *testing.T) {
	const met = "CrossApply.ClusterNotActive"
	for _, tolerate := range [][]string{{}, {met}, {"CrossApply.Forbidden", met}, {"CrossApply.Forbidden"}} {
		for _, step := range []string{"resolve", "apply"} {
			plan := planned(wave(1, "1"))
			plan.Run.Tolerate = tolerate
			s := script{plan: returns(plan)}
			if fails := asltest.Replies(asltest.Fail(met, cause("DELETING"))); step == "resolve" {
				s.resolve = fails
			} else {
				s.apply = fails
			}
			out := s.run(t)
			child, marked := out.Children[0], slices.Contains(out.Calls, "aws-sdk:s3:putObject")
			if !slices.Contains(tolerate, met) {
				if child.Error != met || !marked {
					t.Errorf("%s, with %q tolerated: %s, marked %v", step, tolerate, child.Error, marked)
				}
				continue
			}
			var result contract.Result
			if err := json.Unmarshal([]byte(child.Output), &result); err != nil || marked {
				t.Errorf("%s, with %q tolerated: %v, marked %v", step, tolerate, err, marked)
			}
			want := contract.Result{Target: contract.Target{Account: "1", Region: "r", Cluster: "c"}, Outcome: contract.OutcomeSkipped, Error: met, Message: cause("DELETING")}
			if !reflect.DeepEqual(result, want) || child.Route[len(child.Route)-1] != "Skipped" {
				t.Errorf("%s: %+v by %q", step, result, child.Route)
			}
		}
	}
}
