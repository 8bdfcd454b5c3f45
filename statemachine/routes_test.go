package statemachine_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/runs"
	"github.com/crossapply/crossapply/statemachine"
)

// The true definition runs here with scripted functions: what is tested is the
// route through its states. How the functions behave is tested beside them.

const (
	cluster  = `{"endpoint": "https://c"}`
	resolved = `{"cluster": ` + cluster + `, "mappings": [{"plural": "topics"}]}`
	applied  = `{"mapping": {"plural": "topics"}, "applied": {"change": "created", "uid": "u", "generation": 1}, "seen": {"state": "Progressing"}, "deadline": "2099-01-01T00:15:00Z", "more": false}`
	ready    = `{"status": "Ready", "seen": {"state": "Ready"}, "window": 1, "pauseSeconds": 0, "result": {"cluster": "c", "outcome": "Ready"}, "more": false}`
	reported = `{"status": "Succeeded", "total": 1, "counts": {"Ready": 1}, "message": "all is well", "report": "s3://runs/report.json"}`
	target   = `{"target": {"account": "1", "region": "r", "cluster": "c"}}`
)

// text is the JSON text of a value of the contract.
func text(value any) string {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err) // the tests make up nothing that cannot be written
	}
	return string(body)
}

// planned is a plan that begins with next.
func planned(next contract.Next) contract.PlanOutput {
	return contract.PlanOutput{
		Run: contract.Run{
			Execution: asltest.ExecutionARN, Name: "run", Bucket: "runs", Prefix: "runs/run/", Operation: "apply", Tolerate: []string{},
			Resources: []contract.ResourceRef{{APIVersion: "kafka/v1", Kind: "Topic", Name: "orders"}}, Ready: contract.ReadySettings{TimeoutSeconds: 900},
		},
		Next: &next, Total: 1, Labels: map[string]string{"commit": "1a2b"},
	}
}

// work is the work on a phase: its items lie at targets.json.
func work(number int, kind contract.PhaseKind, name string, does contract.Operation) contract.Next {
	return contract.Next{
		Action: contract.ActionWork, Phase: &contract.Phase{Number: number, Kind: kind, Wave: 1, Name: name, Operation: does},
		ItemsKey: "targets.json", ResultsPrefix: fmt.Sprintf("results/%d", number), MaxConcurrency: 2, Total: 1, Counts: map[contract.Outcome]int{},
	}
}

func wave(number int, name string) contract.Next {
	return work(number, contract.PhaseWave, name, "apply")
}

// after is a decision of review after a phase that has ended.
func after(ended, next contract.Next) contract.Next {
	next.Ended = &contract.EndedPhase{Phase: *ended.Phase, Total: 1, Counts: map[contract.Outcome]int{"Ready": 1}}
	next.Counts = next.Ended.Counts
	return next
}

func end(reason string) contract.Next {
	return contract.Next{Action: contract.ActionReport, Reason: reason, Counts: map[contract.Outcome]int{}}
}

// returns are replies with these outputs, in turn.
func returns[T any](outputs ...T) asltest.Function {
	replies := make([]asltest.Reply, len(outputs))
	for i, output := range outputs {
		replies[i] = asltest.Output(text(output))
	}
	return asltest.Replies(replies...)
}

func waiting(window, pause int) asltest.Reply {
	return asltest.Output(fmt.Sprintf(`{"status": "Progressing", "seen": {"state": "Progressing", "message": "window %d"}, "window": %[1]d, "pauseSeconds": %d}`, window, pause))
}

// cause is the cause of a function's error.
func cause(message string) string {
	return fmt.Sprintf(`{"errorMessage": %q, "errorType": "X"}`, message)
}

// script is what the functions, and the services that the definition calls itself,
// reply; one that is nil succeeds.
type script struct {
	plan, discover, resolve, apply, poll, review, report asltest.Function
	mark, event, approval                                asltest.Function
	targets                                              string // JSON
	input                                                string // JSON
}

// machine is the definition with names in the place of the functions' ARNs. It is read
// once, since that takes longer than most executions.
var (
	machine *asl.Machine
	parsed  sync.Once
)

func parse(t *testing.T) {
	t.Helper()
	values := map[string]string{}
	for _, name := range statemachine.Placeholders() {
		values[name] = strings.TrimSuffix(name, "FunctionArn")
	}
	values[deployment.PartitionPlaceholder] = "aws"
	definition, err := statemachine.Substitute(values)
	if err != nil {
		t.Fatal(err)
	}
	if machine, err = asl.Parse(asltest.Engine(t), []byte(definition)); err != nil {
		t.Fatal(err)
	}
}

func (s script) run(t *testing.T) asltest.Outcome {
	t.Helper()
	parsed.Do(func() { parse(t) })
	functions := asltest.Functions{}
	add := func(name string, scripted, success asltest.Function) {
		if functions[name] = scripted; scripted == nil {
			functions[name] = success
		}
	}
	add("Plan", s.plan, returns(planned(wave(1, "1"))))
	add("Discover", s.discover, returns(contract.DiscoverOutput{}))
	add("Resolve", s.resolve, asltest.Replies(asltest.Output(resolved)))
	add("Apply", s.apply, asltest.Replies(asltest.Output(applied)))
	add("Poll", s.poll, asltest.Replies(asltest.Output(ready)))
	add("Review", s.review, returns(after(wave(1, "1"), end("every wave has ended"))))
	add("Report", s.report, asltest.Replies(asltest.Output(reported)))
	add("aws-sdk:s3:putObject", s.mark, asltest.Replies(asltest.Output(`{}`)))
	add("events:putEvents", s.event, asltest.Replies(asltest.Output(`{"FailedEntryCount": 0}`)))
	add("events:putEvents.waitForTaskToken", s.approval, asltest.Replies(asltest.Hang()))
	return asltest.RunMachine(t, machine, asltest.Case{Functions: functions, Input: s.input, Objects: asltest.Objects{
		"runs/targets.json": cmp.Or(s.targets, "["+target+"]"), "runs/accounts.json": `[{"account": "1", "regions": ["r"], "tags": true}, {"account": "2", "regions": ["r"], "clusters": ["a*"], "tags": false}]`,
	}})
}

// asked takes what a function was called with, each time, and lets it reply as it would.
func asked[T any](calls *[]T, replies asltest.Function) asltest.Function {
	return func(ctx context.Context, call asltest.Call) asltest.Reply {
		var in T
		decoder := json.NewDecoder(bytes.NewReader(call.Payload))
		decoder.DisallowUnknownFields() // what a function is called with is in the contract
		if err := decoder.Decode(&in); err != nil {
			return asltest.Fail("Test", err.Error()+": "+string(call.Payload))
		}
		*calls = append(*calls, in)
		return replies(ctx, call)
	}
}

func expectRoute(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the route of %s:\ngot  %q\nwant %q", what, got, want)
	}
}

var (
	begin          = []string{"Plan", "Planned?", "Send start event", "Next phase?"}
	phase          = []string{"Work on targets", "Review", "Next phase?", "Send phase event", "Next phase?"}
	succeeds       = []string{"Report", "Send end event", "Succeeded?", "Rolled out"}
	succeededRoute = slices.Concat(begin, phase, succeeds)
	readyRoute     = []string{"Resolve cluster", "Apply resource", "Anything to wait for?", "Poll resource", "Ready?", "Target done"}
)

func TestReadyAtOnce(t *testing.T) {
	out := script{}.run(t)
	expectRoute(t, "the execution", out.Route, succeededRoute)
	expectRoute(t, "the target", out.Children[0].Route, readyRoute)
	if out.Status != types.ExecutionStatusSucceeded || out.Output != compact(reported) {
		t.Errorf("%s with %s", out.Status, out.Output)
	}
	if got := out.Children[0].Output; got != `{"cluster":"c","outcome":"Ready"}` {
		t.Errorf("the target's output is %s", got)
	}
}

// compact is a JSON text without spaces.
func compact(text string) string {
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(text)); err != nil {
		panic(err)
	}
	return out.String()
}

func TestNothingToWaitFor(t *testing.T) {
	out := script{apply: asltest.Replies(asltest.Output(`{"mapping": {}, "applied": {}, "seen": {}, "deadline": "x", "result": {"outcome": "Applied"}, "more": false}`))}.run(t)
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
			Seen     struct{ Message string }
			Target   struct{ Cluster string }
			Run      struct{ Bucket string }
		}
		if err := json.Unmarshal(call.Payload, &in); err != nil {
			return asltest.Fail("Test", err.Error())
		}
		if in.Deadline == "" || in.Applied.UID != "u" || in.Cluster.Endpoint != "https://c" || in.Mapping.Plural != "topics" || in.Target.Cluster != "c" || in.Run.Bucket != "runs" ||
			in.Window > 0 && in.Seen.Message != fmt.Sprintf("window %d", in.Window) {
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

// What may pass is retried before the apply, with the same payload; what does not
// ends the target at once, with its own error, and leaves a mark.
func TestRetries(t *testing.T) {
	tests := []struct {
		err     string
		retried bool
	}{
		{"CrossApply.ClusterUnreachable", true},
		{"CrossApply.ClusterError", true},
		{"CrossApply.Throttled", true},
		{"CrossApply.AWSUnavailable", true},
		{"CrossApply.Unauthenticated", true},
		{"Lambda.TooManyRequestsException", true},
		{"Lambda.ServiceException", true},
		{"Lambda.SdkClientException", true},
		{"Lambda.ResourceNotReadyException", true},
		{"Runtime.ExitError", true},
		{"Sandbox.Timedout", true},
		{"CrossApply.AssumeRoleDenied", false},
		{"CrossApply.Forbidden", false},
		{"CrossApply.ClusterNotFound", false},
		{"CrossApply.Internal", false},
	}
	for _, test := range tests {
		t.Run(test.err, func(t *testing.T) {
			for _, step := range []string{"Resolve", "Apply"} {
				s, success := script{}, resolved
				fails := &s.resolve
				if step == "Apply" {
					fails, success = &s.apply, applied
				}
				*fails = asltest.Replies(asltest.Fail(test.err, "once"), asltest.Fail(test.err, "twice"), asltest.Output(success))
				out := s.run(t)
				child := out.Children[0]
				if test.retried {
					expectRoute(t, "the target", child.Route, readyRoute)
					continue
				}
				if last := child.Route[len(child.Route)-2:]; child.Error != test.err || child.Cause != "once" || !slices.Equal(last, []string{"Mark the failure", "Target failed"}) {
					t.Errorf("%s: the target ended with %s: %s by %q", step, child.Error, child.Cause, child.Route)
				}
				expectRoute(t, "the execution", out.Route, succeededRoute)
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
	if calls != 6 || out.Children[0].Error != "CrossApply.ClusterUnreachable" {
		t.Errorf("%d calls, then %s", calls, out.Children[0].Error)
	}
}

// While a target waits, nothing but a verdict ends it before its deadline, however
// often.
func TestWhatPassesIsWaitedOut(t *testing.T) {
	for name, failures := range map[string]int{
		"CrossApply.ClusterUnreachable": 20, "CrossApply.Unauthenticated": 20, "CrossApply.AssumeRoleDenied": 20, "CrossApply.Internal": 20,
		"Lambda.TooManyRequestsException": 1_100, "Lambda.ENILimitReachedException": 20, "Runtime.ExitError": 20, "Sandbox.Timedout": 20,
	} {
		t.Run(name, func(t *testing.T) {
			out := script{poll: func(_ context.Context, call asltest.Call) asltest.Reply {
				var in struct{ Seen struct{ State string } }
				if err := json.Unmarshal(call.Payload, &in); err != nil || in.Seen.State != "Progressing" {
					return asltest.Fail("CrossApply.RuleFailed", "poll was called with "+string(call.Payload))
				}
				if call.N < failures {
					return asltest.Fail(name, cause("not now"))
				}
				return asltest.Output(ready)
			}}.run(t)
			child := out.Children[0]
			if child.Status != types.ExecutionStatusSucceeded || child.Route[len(child.Route)-1] != "Target done" {
				t.Errorf("%s with %s: %s", child.Status, child.Error, child.Cause)
			}
			// A history holds 25,000 events, and a target may wait for a day.
			if day := float64(len(child.Events)) * float64(24*time.Hour) / float64(out.Duration); day > 25_000 {
				t.Errorf("%d events in %s: %.0f in a day", len(child.Events), out.Duration, day)
			}
		})
	}
}

// Where the poll function cannot even be called, the definition itself ends the
// wait, and names the last trouble.
func TestDeadlineOfAFunctionThatCannotBeCalled(t *testing.T) {
	// The clock of the tests starts at the turn of the millennium.
	late := strings.Replace(applied, "2099-01-01T00:15:00Z", "2000-01-01T00:15:00Z", 1)
	out := script{apply: asltest.Replies(asltest.Output(late)), poll: asltest.Replies(asltest.Fail("Lambda.TooManyRequestsException", "Rate Exceeded."))}.run(t)
	child := out.Children[0]
	if child.Error != "CrossApply.ReadyTimeout" || !strings.Contains(child.Cause, "not Ready within 900 seconds") || !strings.Contains(child.Cause, "Lambda.TooManyRequestsException: Rate Exceeded.") {
		t.Errorf("ended with %s: %s", child.Error, child.Cause)
	}
	if out.Duration < 15*time.Minute || out.Duration > 17*time.Minute {
		t.Errorf("it took %s", out.Duration)
	}
	expectRoute(t, "the end of the target", child.Route[len(child.Route)-4:], []string{"Ready?", "Tolerated?", "Mark the failure", "Target failed"})
}

// A target that finds the rollout stopped ends in two transitions, untouched.
func TestGate(t *testing.T) {
	out := script{resolve: asltest.Replies(asltest.Fail("CrossApply.RolloutStopped", cause("more than 0 targets had failed")))}.run(t)
	expectRoute(t, "the target", out.Children[0].Route, []string{"Resolve cluster", "Not started"})
	var result struct{ Cluster, Outcome, Message string }
	if err := json.Unmarshal([]byte(out.Children[0].Output), &result); err != nil {
		t.Fatal(err)
	}
	if result.Cluster != "c" || result.Outcome != "NotStarted" || result.Message != "more than 0 targets had failed" {
		t.Errorf("%+v", result)
	}
	if slices.Contains(out.Calls, "aws-sdk:s3:putObject") {
		t.Error("a target that did not start left a mark")
	}
}

// The mark is what the gate counts. A target whose mark cannot be written fails
// with its own error all the same.
func TestMark(t *testing.T) {
	var marked struct {
		Bucket, Key string
		Body        struct{ Error string }
	}
	out := script{
		poll: asltest.Replies(asltest.Fail("CrossApply.ResourceFailed", cause("Stalled"))),
		mark: func(_ context.Context, call asltest.Call) asltest.Reply {
			if err := json.Unmarshal(call.Payload, &marked); err != nil || call.N == 0 {
				return asltest.Fail("S3.S3Exception", "Please reduce your request rate.")
			}
			return asltest.Output("{}")
		},
	}.run(t)
	if marked.Bucket != "runs" || marked.Key != "runs/run/"+runs.PhaseFailed(1)+"1/r/c" || marked.Body.Error != "CrossApply.ResourceFailed" {
		t.Errorf("the mark is %+v", marked)
	}
	if child := out.Children[0]; child.Error != "CrossApply.ResourceFailed" || child.Cause != cause("Stalled") {
		t.Errorf("ended with %s: %s", child.Error, child.Cause)
	}
	out = script{apply: asltest.Replies(asltest.Fail("CrossApply.Conflict", cause("owned"))), mark: asltest.Replies(asltest.Fail("S3.S3Exception", "no"))}.run(t)
	if child := out.Children[0]; child.Error != "CrossApply.Conflict" {
		t.Errorf("ended with %s: %s", child.Error, child.Cause)
	}
}

// However many targets fail, the Map goes on to the end, and the execution fails
// with the answer as its cause.
func TestFailures(t *testing.T) {
	answer := `{"status":"Failed","total":3,"failed":[{"cluster":"a"}]}`
	var asked struct {
		Execution    string
		RolloutError any
	}
	out := script{
		targets: `[{"target": {"account": "1", "region": "r", "cluster": "a"}}, {"target": {"account": "1", "region": "r", "cluster": "b"}}, {"target": {"account": "1", "region": "r", "cluster": "c"}}]`,
		apply:   asltest.Replies(asltest.Fail("CrossApply.Conflict", cause("owned"))),
		report: func(_ context.Context, call asltest.Call) asltest.Reply {
			if err := json.Unmarshal(call.Payload, &asked); err != nil {
				return asltest.Fail("Test", err.Error())
			}
			return asltest.Output(answer)
		},
	}.run(t)
	expectRoute(t, "the execution", out.Route, slices.Concat(begin, phase, []string{"Report", "Send end event", "Succeeded?", "Rollout failed"}))
	if len(out.Children) != 3 || asked.Execution != asltest.ExecutionARN || asked.RolloutError != nil {
		t.Errorf("%d targets; report was asked for %+v", len(out.Children), asked)
	}
	if out.Error != "CrossApply.RolloutFailed" || out.Cause != answer {
		t.Errorf("failed with %s: %s", out.Error, out.Cause)
	}
}

// A Map that breaks is caught: review learns of it, and the caller gets the report.
func TestBrokenMap(t *testing.T) {
	var reviews []contract.ReviewInput
	out := script{targets: "no JSON", review: asked(&reviews, returns(after(wave(1, "1"), end("the Map broke"))))}.run(t)
	expectRoute(t, "the execution", out.Route, succeededRoute)
	if len(reviews) != 1 || reviews[0].Error == nil || reviews[0].Error.Error != "States.ItemReaderFailed" {
		t.Errorf("review was told %+v", reviews)
	}
}

// A repeat of an idempotency key waits for the first execution, however long it
// takes, and ends as that does.
func TestDuplicate(t *testing.T) {
	const arn = "arn:aws:states:eu-west-1:111111111111:execution:test:first"
	first := func(more string) asltest.Reply {
		return asltest.Output(`{"run": {}, "labels": {}, "first": {"execution": "` + arn + `", ` + more + `}}`)
	}
	asked := []string{"Plan", "Planned?"}
	waited := append(slices.Clone(asked), "Wait for the first execution")
	tests := []struct {
		name    string
		replies []asltest.Reply
		route   []string
		status  types.ExecutionStatus
		output  string
		err     string
		cause   string
	}{
		{
			name:    "it succeeded",
			replies: []asltest.Reply{first(`"status": "SUCCEEDED", "output": "{\"status\": \"Succeeded\", \"total\": 4}"`)},
			route:   append(slices.Clone(asked), "Rolled out before"), status: types.ExecutionStatusSucceeded, output: `{"status":"Succeeded","total":4}`,
		},
		{
			name:    "it runs, then fails",
			replies: []asltest.Reply{first(`"status": "RUNNING"`), first(`"status": "FAILED", "error": "CrossApply.RolloutFailed", "cause": "the answer"`)},
			route:   slices.Concat(waited, asked, []string{"Failed before"}),
			status:  types.ExecutionStatusFailed, err: "CrossApply.RolloutFailed", cause: "the answer",
		},
		{
			name: "it was stopped", replies: []asltest.Reply{first(`"status": "ABORTED"`)},
			route: append(slices.Clone(asked), "Stopped before"), status: types.ExecutionStatusFailed, err: "CrossApply.FirstExecutionStopped", cause: arn,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			out := script{plan: asltest.Replies(test.replies...)}.run(t)
			expectRoute(t, "the repeat", out.Route, test.route)
			if out.Status != test.status || out.Output != test.output || out.Error != test.err || !strings.Contains(out.Cause, test.cause) {
				t.Errorf("%s with %s %s: %s", out.Status, out.Output, out.Error, out.Cause)
			}
		})
	}
	// A rollout that bakes and asks for approvals takes weeks, and a history holds 25,000
	// events: nine each time that plan is asked.
	t.Run("it takes long", func(t *testing.T) {
		var requests []string
		out := script{plan: func(_ context.Context, call asltest.Call) asltest.Reply {
			var in struct{ Request json.RawMessage }
			if err := json.Unmarshal(call.Payload, &in); err != nil {
				return asltest.Fail("Test", err.Error())
			}
			requests = append(requests, string(in.Request))
			if call.N < 600 {
				return first(`"status": "RUNNING"`)
			}
			return first(`"status": "SUCCEEDED", "output": "{}"`)
		}}.run(t)
		if out.Status != types.ExecutionStatusSucceeded || out.Duration < 14*time.Hour {
			t.Errorf("%s after %s with %s: %s", out.Status, out.Duration, out.Error, out.Cause)
		}
		if slices.Sort(requests); requests[0] != requests[len(requests)-1] {
			t.Errorf("plan was asked about %q and %q", requests[0], requests[len(requests)-1])
		}
	})
}

// What looks like an expression in a request, or in what a cluster says, is a text.
func TestTextsAreNotEvaluated(t *testing.T) {
	const expression = "{% $states.context.Execution.Id %}"
	var given, polled json.RawMessage
	out := script{
		input: `{"resource": {"metadata": {"annotations": {"a": "` + expression + `"}}}}`,
		plan: func(_ context.Context, call asltest.Call) asltest.Reply {
			given = call.Payload
			return asltest.Output(strings.Replace(text(planned(wave(1, "1"))), `"name":"run"`, `"name":"`+expression+`"`, 1))
		},
		apply: asltest.Replies(asltest.Output(strings.Replace(applied, `"state": "Progressing"`, `"state": "Progressing", "message": "`+expression+`"`, 1))),
		poll: func(_ context.Context, call asltest.Call) asltest.Reply {
			polled = call.Payload
			return asltest.Fail("CrossApply.ResourceFailed", cause(expression))
		},
	}.run(t)
	if !strings.Contains(string(given), expression) {
		t.Errorf("plan was given %s", given)
	}
	if strings.Count(string(polled), expression) != 2 {
		t.Errorf("poll was given %s", polled)
	}
	if got := out.Children[0].Cause; got != cause(expression) {
		t.Errorf("the target ended with %s", got)
	}
}

func TestRefusedRequest(t *testing.T) {
	out := script{plan: asltest.Replies(asltest.Fail("CrossApply.InvalidRequest", "targets: Required value"))}.run(t)
	expectRoute(t, "the execution", out.Route, []string{"Plan"})
	if out.Error != "CrossApply.InvalidRequest" || !slices.Equal(out.Calls, []string{"Plan"}) {
		t.Errorf("failed with %s after %v", out.Error, out.Calls)
	}
}

// A function that hangs is called again after its state's timeout.
func TestHangingFunction(t *testing.T) {
	out := script{apply: asltest.Replies(asltest.Hang(), asltest.Output(applied))}.run(t)
	expectRoute(t, "the target", out.Children[0].Route, readyRoute)
}
