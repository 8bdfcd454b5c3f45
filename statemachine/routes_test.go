package statemachine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/statemachine"
)

// The true definition runs here with scripted functions: what is tested is the
// route through its states. How the functions behave is tested beside them.

const (
	planned  = `{"run": {"name": "run", "bucket": "runs"}, "targetsKey": "targets.json", "resultsPrefix": "results", "total": 1, "maxConcurrency": 2, "maxFailures": %d}`
	resolved = `{"cluster": {"endpoint": "https://c"}, "mapping": {"plural": "topics"}}`
	applied  = `{"applied": {"change": "created", "uid": "u", "generation": 1}, "deadline": "2026-01-01T00:15:00Z"}`
	ready    = `{"status": "Ready", "window": 1, "pauseSeconds": 0, "result": {"cluster": "c", "outcome": "Ready"}}`
	reported = `{"status": "Succeeded", "total": 1}`
)

func waiting(window, pause int) asltest.Reply {
	return asltest.Output(fmt.Sprintf(`{"status": "Progressing", "message": "not yet", "window": %d, "pauseSeconds": %d}`, window, pause))
}

// script is what the functions reply; one that is nil succeeds.
type script struct {
	plan, resolve, apply, poll, report asltest.Function
	targets                            []string
	maxFailures                        int
}

func (s script) run(t *testing.T) asltest.Outcome {
	t.Helper()
	values, functions := map[string]string{}, asltest.Functions{}
	add := func(name string, scripted asltest.Function, success string) {
		values[name+"FunctionArn"] = name
		if scripted == nil {
			scripted = asltest.Replies(asltest.Output(success))
		}
		functions[name] = scripted
	}
	add("Plan", s.plan, fmt.Sprintf(planned, s.maxFailures))
	add("Resolve", s.resolve, resolved)
	add("Apply", s.apply, applied)
	add("Poll", s.poll, ready)
	add("Report", s.report, reported)
	definition, err := statemachine.Substitute(values)
	if err != nil {
		t.Fatal(err)
	}
	if s.targets == nil {
		s.targets = []string{"c"}
	}
	targets, err := json.Marshal(s.targets)
	if err != nil {
		t.Fatal(err)
	}
	return asltest.Run(t, asltest.Case{Definition: definition, Functions: functions,
		Objects: asltest.Objects{"runs/targets.json": string(targets)}})
}

func expectRoute(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the route of %s:\ngot  %q\nwant %q", what, got, want)
	}
}

var (
	succeededRoute = []string{"Plan", "Anything to do?", "Roll out to targets", "Report", "Within the failure budget?", "Rolled out"}
	readyRoute     = []string{"Resolve cluster", "Apply resource", "Anything to wait for?", "Poll resource", "Ready?", "Target done"}
)

func TestReadyAtOnce(t *testing.T) {
	out := script{}.run(t)
	expectRoute(t, "the execution", out.Route, succeededRoute)
	expectRoute(t, "the target", out.Children[0].Route, readyRoute)
	if out.Status != types.ExecutionStatusSucceeded || out.Output != `{"status":"Succeeded","total":1}` {
		t.Errorf("%s with %s", out.Status, out.Output)
	}
	if got := out.Children[0].Output; got != `{"cluster":"c","outcome":"Ready"}` {
		t.Errorf("the target's output is %s", got)
	}
}

func TestNothingToWaitFor(t *testing.T) {
	out := script{apply: asltest.Replies(asltest.Output(`{"applied": {}, "deadline": "x", "result": {"outcome": "Applied"}}`))}.run(t)
	expectRoute(t, "the target", out.Children[0].Route, []string{"Resolve cluster", "Apply resource", "Anything to wait for?", "Target done"})
}

// Each window hands the next its number, and the pause between them is poll's.
func TestWindows(t *testing.T) {
	var windows []int
	out := script{poll: func(_ context.Context, call asltest.Call) asltest.Reply {
		var in struct {
			Window   int
			Deadline string
			Applied  struct{ UID string }
			Cluster  struct{ Endpoint string }
			Mapping  struct{ Plural string }
			Target   string
			Run      struct{ Bucket string }
		}
		if err := json.Unmarshal(call.Payload, &in); err != nil {
			return asltest.Fail("Test", err.Error())
		}
		if in.Deadline == "" || in.Applied.UID != "u" || in.Cluster.Endpoint != "https://c" || in.Mapping.Plural != "topics" || in.Target != "c" || in.Run.Bucket != "runs" {
			return asltest.Fail("Test", "poll was called with "+string(call.Payload))
		}
		windows = append(windows, in.Window)
		if in.Window < 2 {
			return waiting(in.Window+1, 20)
		}
		return asltest.Output(ready)
	}}.run(t)
	expectRoute(t, "the target", out.Children[0].Route, []string{"Resolve cluster", "Apply resource", "Anything to wait for?",
		"Poll resource", "Ready?", "Pause", "Poll resource", "Ready?", "Pause", "Poll resource", "Ready?", "Target done"})
	if !slices.Equal(windows, []int{0, 1, 2}) {
		t.Errorf("the windows were %v", windows)
	}
	if out.Duration != 40*time.Second {
		t.Errorf("two pauses of 20 seconds took %s", out.Duration)
	}
}

// What a retry helps is retried, with the same payload; what it does not help
// ends the target at once.
func TestRetries(t *testing.T) {
	tests := []struct {
		err     string
		retried bool
	}{
		{"CrossApply.ClusterUnreachable", true},
		{"CrossApply.ClusterError", true},
		{"CrossApply.Throttled", true},
		{"CrossApply.AWSUnavailable", true},
		{"Lambda.TooManyRequestsException", true},
		{"Lambda.ServiceException", true},
		{"Lambda.SdkClientException", true},
		{"CrossApply.AssumeRoleDenied", false},
		{"CrossApply.Forbidden", false},
		{"CrossApply.ClusterNotFound", false},
		{"CrossApply.Internal", false},
		{"Sandbox.Timedout", false},
	}
	for _, test := range tests {
		t.Run(test.err, func(t *testing.T) {
			out := script{resolve: asltest.Replies(asltest.Fail(test.err, "once"), asltest.Fail(test.err, "twice"), asltest.Output(resolved))}.run(t)
			if got := out.Status == types.ExecutionStatusSucceeded && len(out.Children) == 1 && out.Children[0].Status == types.ExecutionStatusSucceeded; got != test.retried {
				t.Errorf("retried: %t, want %t (the target is %s)", got, test.retried, out.Children[0].Status)
			}
			if !test.retried && out.Children[0].Error != test.err {
				t.Errorf("the target ended with %s", out.Children[0].Error)
			}
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	out := script{resolve: asltest.Replies(asltest.Fail("CrossApply.ClusterUnreachable", "down"))}.run(t)
	calls := 0
	for _, name := range out.Calls {
		if name == "Resolve" {
			calls++
		}
	}
	if calls != 5 || out.Children[0].Error != "CrossApply.ClusterUnreachable" {
		t.Errorf("%d calls, then %s", calls, out.Children[0].Error)
	}
}

// Access was proven before poll: a refusal there may be an API server that
// restarts.
func TestPollRetriesRefusals(t *testing.T) {
	for _, name := range []string{"CrossApply.Unauthenticated", "CrossApply.Forbidden"} {
		out := script{poll: asltest.Replies(asltest.Fail(name, "not yet"), asltest.Output(ready))}.run(t)
		expectRoute(t, "the target after "+name, out.Children[0].Route, readyRoute)
	}
}

// A Map that fails is caught, so that the caller always gets the report, and the
// execution fails with the answer as its cause.
func TestBeyondTheBudget(t *testing.T) {
	answer := `{"status":"Failed","total":3,"failed":[{"cluster":"a"}]}`
	var reportedError struct {
		RolloutError struct{ Error string }
	}
	out := script{
		targets: []string{"a", "b", "c"},
		apply:   asltest.Replies(asltest.Fail("CrossApply.Conflict", `{"errorMessage": "owned"}`)),
		report: func(_ context.Context, call asltest.Call) asltest.Reply {
			if err := json.Unmarshal(call.Payload, &reportedError); err != nil {
				return asltest.Fail("Test", err.Error())
			}
			return asltest.Output(answer)
		},
	}.run(t)
	expectRoute(t, "the execution", out.Route, []string{"Plan", "Anything to do?", "Roll out to targets", "Report", "Within the failure budget?", "Rollout failed"})
	if reportedError.RolloutError.Error != "States.ExceedToleratedFailureThreshold" {
		t.Errorf("report was told %q", reportedError.RolloutError.Error)
	}
	if out.Error != "CrossApply.RolloutFailed" || out.Cause != answer {
		t.Errorf("failed with %s: %s", out.Error, out.Cause)
	}
}

func TestWithinTheBudget(t *testing.T) {
	out := script{
		targets: []string{"a", "b", "c"}, maxFailures: 1,
		resolve: func(_ context.Context, call asltest.Call) asltest.Reply {
			if strings.Contains(string(call.Payload), `"target":"b"`) {
				return asltest.Fail("CrossApply.ClusterNotFound", "b")
			}
			return asltest.Output(resolved)
		},
	}.run(t)
	expectRoute(t, "the execution", out.Route, succeededRoute)
	var failed int
	for _, child := range out.Children {
		if child.Status == types.ExecutionStatusFailed {
			failed++
		}
	}
	if failed != 1 || len(out.Children) != 3 {
		t.Errorf("%d of %d targets failed, want 1 of 3", failed, len(out.Children))
	}
}

func TestDuplicate(t *testing.T) {
	out := script{plan: asltest.Replies(asltest.Output(`{"run": {}, "answer": {"status": "Duplicate", "duplicateOf": "arn"}}`))}.run(t)
	expectRoute(t, "the execution", out.Route, []string{"Plan", "Anything to do?", "Already started"})
	if out.Status != types.ExecutionStatusSucceeded || out.Output != `{"status":"Duplicate","duplicateOf":"arn"}` {
		t.Errorf("%s with %s", out.Status, out.Output)
	}
}

func TestRefusedRequest(t *testing.T) {
	out := script{plan: asltest.Replies(asltest.Fail("CrossApply.InvalidRequest", "targets: Required value"))}.run(t)
	expectRoute(t, "the execution", out.Route, []string{"Plan"})
	if out.Error != "CrossApply.InvalidRequest" || !slices.Equal(out.Calls, []string{"Plan"}) {
		t.Errorf("failed with %s after %v", out.Error, out.Calls)
	}
}

// A function that hangs ends by its state's timeout, and hurts only its target.
func TestHangingFunction(t *testing.T) {
	out := script{maxFailures: 1, poll: asltest.Replies(asltest.Hang())}.run(t)
	expectRoute(t, "the execution", out.Route, succeededRoute)
	if out.Children[0].Error != "States.Timeout" {
		t.Errorf("the target ended with %s", out.Children[0].Error)
	}
}
