package asl_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
)

// invoke is a Task state A that calls "f", with further fields, and then B.
func invoke(fields string) string {
	return machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", ` + fields + `
		"Arguments": {"FunctionName": "f", "Payload": "{% $states.input %}"}, "Output": "{% $states.result.Payload %}", "Next": "B"},
		"B": {"Type": "Succeed"}`)
}

func TestRetry(t *testing.T) {
	fail := asltest.Fail("E", "c")
	for _, tc := range []struct {
		name, retry string
		replies     []asltest.Reply
		calls       int
		took        time.Duration
		err         string
	}{
		{"defaults", `{"ErrorEquals": ["States.ALL"]}`, []asltest.Reply{fail}, 4, 7 * time.Second, "E"},
		{"recovers", `{"ErrorEquals": ["E"]}`, []asltest.Reply{fail, fail, asltest.Output(`1`)}, 3, 3 * time.Second, ""},
		{"none", `{"ErrorEquals": ["E"], "MaxAttempts": 0}`, []asltest.Reply{fail}, 1, 0, "E"},
		{"backoff", `{"ErrorEquals": ["E"], "IntervalSeconds": 10, "BackoffRate": 1.5, "MaxAttempts": 2}`, []asltest.Reply{fail}, 3, 25 * time.Second, "E"},
		{"longest pause", `{"ErrorEquals": ["E"], "IntervalSeconds": 10, "MaxDelaySeconds": 15, "MaxAttempts": 3}`, []asltest.Reply{fail}, 4, 40 * time.Second, "E"},
		{"other error", `{"ErrorEquals": ["F"]}`, []asltest.Reply{fail}, 1, 0, "E"},
		{"each retrier counts for itself", `{"ErrorEquals": ["E"], "MaxAttempts": 1}, {"ErrorEquals": ["F"], "MaxAttempts": 1}`,
			[]asltest.Reply{fail, asltest.Fail("F", ""), fail}, 3, 2 * time.Second, "E"},
		{"a task's failure is not its timeout", `{"ErrorEquals": ["States.TaskFailed"]}`, []asltest.Reply{asltest.Hang()}, 1, 30 * time.Second, "States.Timeout"},
		{"timeout", `{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1}`, []asltest.Reply{asltest.Hang()}, 2, 61 * time.Second, "States.Timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := asltest.Run(t, asltest.Case{
				Definition: invoke(`"TimeoutSeconds": 30, "Retry": [` + tc.retry + `],`),
				Functions:  asltest.Functions{"f": asltest.Replies(tc.replies...)},
			})
			if len(run.Calls) != tc.calls || run.Duration != tc.took || run.Error != tc.err {
				t.Errorf("%d calls in %s, error %q; want %d in %s, error %q", len(run.Calls), run.Duration, run.Error, tc.calls, tc.took, tc.err)
			}
		})
	}
}

func TestRetryWithJitter(t *testing.T) {
	run := asltest.Run(t, asltest.Case{
		Definition: invoke(`"Retry": [{"ErrorEquals": ["E"], "IntervalSeconds": 100, "MaxAttempts": 1, "JitterStrategy": "FULL"}],`),
		Functions:  asltest.Functions{"f": asltest.Replies(asltest.Fail("E", ""))},
	})
	if run.Duration <= 0 || run.Duration >= 100*time.Second || run.Duration%time.Second == 0 {
		t.Errorf("paused %s", run.Duration)
	}
}

// Pauses can be cut short. Time limits stay what they are, but for that of an answer.
func TestShortPauses(t *testing.T) {
	run := asltest.Run(t, asltest.Case{
		Definition: `{"QueryLanguage": "JSONata", "StartAt": "W", "States": {
			"W": {"Type": "Wait", "Seconds": 100, "Next": "T"},
			"T": {"Type": "Wait", "Timestamp": "{% $fromMillis($millis() + 10000) %}", "Next": "C"},
			"C": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken", "Arguments": {"Entries": []}, "TimeoutSeconds": 200,
				"Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "A"}], "Next": "A"},
			"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "TimeoutSeconds": 30,
				"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 50, "MaxAttempts": 1}], "End": true}}}`,
		Functions: asltest.Functions{"f": asltest.Replies(asltest.Hang()), asking: asltest.Replies(asltest.Hang())},
		Pause:     func(d time.Duration) time.Duration { return d / 50 },
	})
	if want := 2*time.Second + 10*time.Second + 4*time.Second + 30*time.Second + time.Second + 30*time.Second; run.Duration != want || run.Error != "States.Timeout" {
		t.Errorf("%s with %q, want %s", run.Duration, run.Error, want)
	}
}

// TestRetriesBelongToTheExecution runs one machine several times.
func TestRetriesBelongToTheExecution(t *testing.T) {
	m, err := asl.Parse(asltest.Engine(t), []byte(invoke(`"Retry": [{"ErrorEquals": ["E"], "MaxAttempts": 1}],`)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		run := asltest.RunMachine(t, m, asltest.Case{Functions: asltest.Functions{
			"f": asltest.Replies(asltest.Fail("E", ""), asltest.Output(`1`)),
		}})
		if run.Output != "1" || len(run.Calls) != 2 {
			t.Errorf("%s %s after %d calls", run.Output, run.Error, len(run.Calls))
		}
	}
}

func TestCatch(t *testing.T) {
	for _, tc := range []struct {
		name, errorEquals string
		reply             asltest.Reply
		caught            bool
	}{
		{"all", "States.ALL", asltest.Fail("E", "c"), true},
		{"by name", "E", asltest.Fail("E", "c"), true},
		{"task failed", "States.TaskFailed", asltest.Fail("E", "c"), true},
		{"another", "F", asltest.Fail("E", "c"), false},
		{"all catches timeouts", "States.ALL", asltest.Hang(), true},
		{"task failed is no timeout", "States.TaskFailed", asltest.Hang(), false},
		{"all leaves the data limit", "States.ALL", asltest.Output(`"` + strings.Repeat("x", asl.MaxPayload) + `"`), false},
		{"the data limit by name", "States.DataLimitExceeded", asltest.Output(`"` + strings.Repeat("x", asl.MaxPayload) + `"`), true},
		{"nothing catches States.Runtime", "States.Runtime", asltest.Fail("States.Runtime", ""), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := asltest.Run(t, asltest.Case{
				Definition: machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 5,
					"Arguments": {"FunctionName": "f"}, "End": true,
					"Catch": [{"ErrorEquals": ["` + tc.errorEquals + `"], "Next": "B", "Assign": {"name": "{% $states.errorOutput.Error %}"},
						"Output": {"in": "{% $states.input %}", "cause": "{% $states.errorOutput.Cause %}"}}]},
					"B": {"Type": "Pass", "Output": {"name": "{% $name %}", "caught": "{% $states.input %}"}, "End": true}`),
				Input:     `7`,
				Functions: asltest.Functions{"f": asltest.Replies(tc.reply)},
			})
			if got := run.Status == types.ExecutionStatusSucceeded; got != tc.caught {
				t.Errorf("caught %v, want %v: %s %s", got, tc.caught, run.Error, run.Output)
			}
			if tc.reply.Error == "E" && tc.caught {
				if want := `{"name":"E","caught":{"in":7,"cause":"c"}}`; run.Output != want {
					t.Errorf("output %s, want %s", run.Output, want)
				}
			}
		})
	}
}

func TestOutputs(t *testing.T) {
	for _, tc := range []struct{ name, states, input, output, err string }{
		{
			"numbers and order stay as they were", `"A": {"Type": "Pass", "End": true}`,
			`{"z": 1.0, "a": 12345678901234567890, "é": "<&\u20ac>"}`, `{"z":1.0,"a":12345678901234567890,"é":"<&\u20ac>"}`, "",
		},
		{
			"literal beside expression",
			`"A": {"Type": "Pass", "Output": {"z": 1.50, "y": "{% $states.input.n + 1 %}", "x": [" {% no %} ", "{%$states.input.n%}"]}, "End": true}`,
			`{"n": 2}`, `{"z":1.50,"y":3,"x":[" {% no %} ",2]}`, "",
		},
		{"undefined in a field", `"A": {"Type": "Pass", "Output": {"x": [1, "{% $nothing %}"]}, "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{"runtime error", `"A": {"Type": "Pass", "Output": "{% 1 + 'a' %}", "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{"function as a value", `"A": {"Type": "Pass", "Output": "{% $sum %}", "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{"too large", `"A": {"Type": "Pass", "Output": "{% $pad('x', 262145) %}", "End": true}`, `{}`, ``, "States.DataLimitExceeded"},
		{"assigned values are seen by the next state only", `"A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"},
			"B": {"Type": "Pass", "Assign": {"x": 2, "y": "{% $x %}"}, "Output": "{% $x %}", "Next": "C"},
			"C": {"Type": "Succeed", "Output": {"in": "{% $states.input %}", "x": "{% $x %}", "y": "{% $y %}"}}`, `{}`, `{"in":1,"x":2,"y":1}`, ""},
		{"choice", `"A": {"Type": "Choice", "Choices": [{"Condition": "{% $states.input.n > 5 %}", "Next": "B"}, {"Condition": "{% $states.input.n > 1 %}", "Next": "B", "Assign": {"c": 2}, "Output": "two"}], "Default": "B", "Output": "none"},
			"B": {"Type": "Succeed"}`, `{"n": 2}`, `"two"`, ""},
		{
			"choice by default",
			`"A": {"Type": "Choice", "Choices": [{"Condition": false, "Next": "B"}], "Default": "B", "Output": "none"}, "B": {"Type": "Succeed"}`,
			`{}`, `"none"`, "",
		},
		{"no choice", `"A": {"Type": "Choice", "Choices": [{"Condition": "{% false %}", "Next": "B"}]}, "B": {"Type": "Succeed"}`, `{}`, ``, "States.NoChoiceMatched"},
		{
			"choice that is no boolean",
			`"A": {"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "B"}]}, "B": {"Type": "Succeed"}`, `{}`, ``,
			"States.QueryEvaluationError",
		},
		{"fail", `"A": {"Type": "Fail", "Error": "{% 'E' & $string($states.input.n) %}", "Cause": "c"}`, `{"n": 1}`, ``, "E1"},
		{"negative wait", `"A": {"Type": "Wait", "Seconds": "{% -1 %}", "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{"parallel", `"A": {"Type": "Parallel", "Arguments": {"n": 1}, "Branches": [
			{"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 2, "End": true}}},
			{"StartAt": "C", "States": {"C": {"Type": "Pass", "Output": "{% $states.input.n + 1 %}", "End": true}}}], "End": true}`, `{}`, `[{"n":1},2]`, ""},
		{"inner variables stay inside", `"A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "M"}, "M": {"Type": "Map", "Items": [10, 20],
			"ItemProcessor": {"StartAt": "I", "States": {
			"I": {"Type": "Pass", "Assign": {"y": "{% $x + $states.input %}"}, "Next": "J"}, "J": {"Type": "Pass", "Output": "{% $y %}", "End": true}}}, "Next": "Z"},
			"Z": {"Type": "Pass", "Output": {"in": "{% $states.input %}", "y": "{% $exists($y) %}"}, "End": true}`, `{}`, `{"in":[11,21],"y":false}`, ""},
		{"a distributed Map sees no outer variables", `"A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "M"}, "M": {"Type": "Map", "Items": [1], "ItemSelector": {"x": "{% $x %}"}, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
			"StartAt": "I", "States": {"I": {"Type": "Pass", "Output": {"in": "{% $states.input.x %}", "sees": "{% $exists($x) %}"}, "End": true}}}, "End": true}`, `{}`, `[{"in":1,"sees":false}]`, ""},
		{"item selector", `"A": {"Type": "Map", "Items": ["a", "b"], "ItemSelector": {"i": "{% $states.context.Map.Item.Index %}", "v": "{% $states.context.Map.Item.Value %}", "in": "{% $states.input %}"},
			"ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}, "End": true}`, `7`, `[{"i":0,"v":"a","in":7},{"i":1,"v":"b","in":7}]`, ""},
		{"context", `"A": {"Type": "Pass", "Output": "{% $states.context.[Execution.Id, Execution.Name, Execution.Input, Execution.RoleArn, Execution.StartTime, State.Name, State.EnteredTime, StateMachine.Id, StateMachine.Name] %}", "End": true}`, `3`,
			fmt.Sprintf(`[%q,"run",3,%q,"2000-01-01T00:00:00Z","A","2000-01-01T00:00:00Z",%q,"test"]`, asltest.ExecutionARN, asltest.RoleARN, asltest.MachineARN), ""},
		{"an item of an inline Map has no source", `"A": {"Type": "Map", "Items": {"k": 1}, "ItemSelector": "{% $states.context.Map %}",
			"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "I", "States": {"I": {"Type": "Map", "Items": [2], "ItemSelector": "{% [$states.input, $states.context.Map] %}",
			"ItemProcessor": {"StartAt": "J", "States": {"J": {"Type": "Pass", "End": true}}}, "End": true}}}, "End": true}`, `{}`,
			`[[[{"Item":{"Index":0,"Key":"k","Value":1,"Source":"STATE_DATA"}},{"Item":{"Index":0,"Value":2}}]]]`, ""},
		{"not a number", `"A": {"Type": "Pass", "Output": "{% 1 / 0 %}", "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{
			"too much assigned at once",
			`"A": {"Type": "Pass", "Assign": {"x": "{% $pad('x', 200000) %}", "y": "{% $pad('x', 200000) %}"}, "End": true}`, `{}`,
			``, "States.DataLimitExceeded",
		},
		{
			"an item too large",
			`"A": {"Type": "Map", "Items": "{% [$pad('x', 262145)] %}", "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}, "End": true}`,
			`{}`, ``, "States.DataLimitExceeded",
		},
		{"a time with one digit", `"A": {"Type": "Wait", "Timestamp": "{% '2016-03-14T1:59:00Z' %}", "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{"a reader's argument in another case", `"A": {"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Arguments": "{% {'Bucket': 'b', 'key': 'k'} %}"}, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
			"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}, "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{"a reader without its key", `"A": {"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Arguments": "{% {'Bucket': 'b'} %}"},
			"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
			"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}, "End": true}`, `{}`, ``, "States.QueryEvaluationError"},
		{
			"an iteration's failure",
			`"A": {"Type": "Map", "Items": [1], "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Fail", "Error": "E"}}}, "End": true}`,
			`{}`, ``, "E",
		},
		{
			"a resource of another partition",
			`"A": {"Type": "Task", "Resource": "arn:aws-cn:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "End": true}`,
			`{}`, ``, "States.Runtime",
		},
		{
			"a reader of another partition",
			`"A": {"Type": "Map", "ItemReader": {"Resource": "arn:aws-us-gov:states:::s3:getObject", "Arguments": {"Bucket": "b", "Key": "k"}},
			"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
			"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}, "End": true}`,
			`{}`, ``, "States.Runtime",
		},
		{"endless loop", `"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}`, `{}`, ``, "States.Runtime"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := asltest.Run(t, asltest.Case{Definition: machine(tc.states), Input: tc.input})
			if run.Output != tc.output || run.Error != tc.err {
				t.Errorf("got %s %s (%s), want %s %s", run.Output, run.Error, run.Cause, tc.output, tc.err)
			}
		})
	}
}

// TestVariablesHaveALimit fills variables: those of an execution together may
// take 10 MiB, and those of inner scopes count only while these last.
func TestVariablesHaveALimit(t *testing.T) {
	large := strings.Repeat("x", 260_000)
	assign := func(names ...string) string {
		var states []string
		for i, name := range names {
			to := `"End": true`
			if i < len(names)-1 {
				to = `"Next": "` + names[i+1] + `"`
			}
			states = append(states, fmt.Sprintf(`%q: {"Type": "Pass", "Assign": {%q: %q}, %s}`, name, strings.ToLower(name), large, to))
		}
		return strings.Join(states, ",")
	}
	var names []string
	for i := range 41 { // 41 * 260,000 bytes are more than 10 MiB
		names = append(names, fmt.Sprintf("V%d", i))
	}
	definition := func(names []string) string {
		return fmt.Sprintf(`{"QueryLanguage": "JSONata", "StartAt": "V0", "States": {%s}}`, assign(names...))
	}
	if run := asltest.Run(t, asltest.Case{Definition: definition(names)}); run.Error != "States.DataLimitExceeded" {
		t.Errorf("41 variables: %s %q", run.Status, run.Error)
	}
	if run := asltest.Run(t, asltest.Case{Definition: definition(names[:40])}); run.Error != "" {
		t.Errorf("40 variables: %s: %s", run.Error, run.Cause)
	}
	loop := machine(`"A": {"Type": "Map", "Items": "{% [1..50] %}", "MaxConcurrency": 1, "ItemProcessor": {"StartAt": "V", "States": {"V": {"Type": "Pass",
		"Assign": {"v": "` + large + `"}, "Output": 1, "End": true}}}, "End": true}`)
	if run := asltest.Run(t, asltest.Case{Definition: loop}); run.Error != "" {
		t.Errorf("iterations one after another: %s: %s", run.Error, run.Cause)
	}
}

func TestTimes(t *testing.T) {
	run := asltest.Run(t, asltest.Case{Definition: machine(`
		"A": {"Type": "Wait", "Seconds": "{% 3600 * 24 %}", "Next": "B"},
		"B": {"Type": "Wait", "Timestamp": "2000-01-03T00:00:00+01:00", "Next": "C"},
		"C": {"Type": "Wait", "Timestamp": "1999-01-03T00:00:00Z", "Next": "D"},
		"D": {"Type": "Succeed"}`)})
	if want := 47 * time.Hour; run.Duration != want {
		t.Errorf("took %s, want %s", run.Duration, want)
	}
}

func TestMachineTimeout(t *testing.T) {
	run := asltest.Run(t, asltest.Case{Definition: `{"QueryLanguage": "JSONata", "TimeoutSeconds": 10, "StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "End": true,
			"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]}, "B": {"Type": "Succeed"}}}`,
		Functions: asltest.Functions{"f": asltest.Replies(asltest.Hang())}})
	if run.Status != types.ExecutionStatusTimedOut || run.Duration != 10*time.Second {
		t.Errorf("%s after %s", run.Status, run.Duration)
	}
	if want := strings.Fields("ExecutionStarted TaskStateEntered TaskScheduled TaskStarted ExecutionTimedOut"); !slices.Equal(run.Types(), want) {
		t.Errorf("events %q", run.Types())
	}
}

func TestParallelFailureHaltsTheOthers(t *testing.T) {
	run := asltest.Run(t, asltest.Case{
		Definition: machine(`"A": {"Type": "Parallel", "Branches": [
			{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "slow"}, "End": true}}},
			{"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "arn:aws:lambda:eu-west-1:111111111111:function:bad", "End": true}}}], "End": true}`),
		Functions: asltest.Functions{
			"slow": asltest.Replies(asltest.Hang()),
			"bad":  asltest.Replies(asltest.Fail("E", "c").After(time.Minute)),
		},
	})
	if run.Error != "E" || run.Cause != "c" || run.Duration != time.Minute {
		t.Errorf("%s %s after %s", run.Error, run.Cause, run.Duration)
	}
}

func TestMapConcurrency(t *testing.T) {
	var running, most int // the functions of one case run in turn in virtual time
	gate := make(chan struct{}, 1)
	gate <- struct{}{}
	run := asltest.Run(t, asltest.Case{
		Definition: machine(`"A": {"Type": "Map", "Items": "{% [1..7] %}", "MaxConcurrency": "{% 3 %}", "ItemProcessor": {"StartAt": "B", "States": {
			"B": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f", "Payload": "{% $states.input %}"}, "Output": "{% $states.result.Payload %}", "End": true}}}, "End": true}`),
		Functions: asltest.Functions{"f": func(_ context.Context, call asltest.Call) asltest.Reply {
			<-gate
			running++
			most = max(most, running)
			gate <- struct{}{}
			time.Sleep(time.Second)
			<-gate
			running--
			gate <- struct{}{}
			return asltest.Reply{Payload: call.Payload}
		}},
	})
	if most != 3 || run.Output != "[1,2,3,4,5,6,7]" || run.Duration != 3*time.Second {
		t.Errorf("%d at once, %s, %s", most, run.Output, run.Duration)
	}
}

func TestHistoryDetails(t *testing.T) {
	run := asltest.Run(t, asltest.Case{
		Definition: machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 9, "Assign": {"v": "{% $states.result.StatusCode %}"},
			"Arguments": {"FunctionName": "f", "Payload": {"n": "{% $states.input %}"}}, "Output": "done", "End": true}`),
		Input:     `5`,
		Functions: asltest.Functions{"f": asltest.Replies(asltest.Output(`1`))},
	})
	for i, ev := range run.Events {
		if ev.Id != int64(i+1) || ev.PreviousEventId != int64(i) {
			t.Errorf("event %d follows %d", ev.Id, ev.PreviousEventId)
		}
	}
	scheduled := run.Events[2].TaskScheduledEventDetails
	if *scheduled.Parameters != `{"FunctionName":"f","Payload":{"n":5}}` || *scheduled.Resource != "invoke" || *scheduled.ResourceType != "lambda" || *scheduled.TimeoutInSeconds != 9 || *scheduled.Region != "eu-west-1" {
		t.Errorf("scheduled %s %s", *scheduled.Parameters, *scheduled.Resource)
	}
	exited := run.Events[5].StateExitedEventDetails
	if *exited.Output != `"done"` || exited.AssignedVariables["v"] != "200" {
		t.Errorf("exited %s %v", *exited.Output, exited.AssignedVariables)
	}
}

func TestResultThatNoNumberHolds(t *testing.T) {
	run := asltest.Run(t, asltest.Case{
		Definition: machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "f"}, "End": true}`),
		Functions:  asltest.Functions{"f": asltest.Replies(asltest.Output(`{"n":1e400}`))},
	})
	if run.Status != "FAILED" || run.Error != "States.Runtime" || !strings.Contains(run.Cause, "1e400") {
		t.Errorf("%s %s: %s", run.Status, run.Error, run.Cause)
	}
}
