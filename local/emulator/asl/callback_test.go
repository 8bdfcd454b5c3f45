package asl_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
)

// ask is a Task state A that waits for the answer to its token, with further fields,
// and then B.
func ask(fields string) string {
	return machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken", ` + fields + `
		"Arguments": {"Entries": [{"Detail": {"token": "{% $states.context.Task.Token %}"}}]}, "Next": "B"},
		"B": {"Type": "Succeed"}`)
}

const asking = "events:putEvents.waitForTaskToken"

// How these end, and with which events, was recorded on AWS.
// https://github.com/localstack/localstack: test_callback.snapshot.json, test_heartbeats.snapshot.json
func TestCallback(t *testing.T) {
	const begin = "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted "
	for _, tc := range []struct {
		name, fields string
		reply        asltest.Reply
		took         time.Duration
		err, events  string
	}{
		{"success", ``, asltest.Output(`"yes"`).After(time.Hour), time.Hour, "", begin + "TaskSucceeded TaskStateExited SucceedStateEntered SucceedStateExited ExecutionSucceeded"},
		{"failure", ``, asltest.Fail("Failure error", "Failure cause").After(time.Hour), time.Hour, "Failure error", begin + "TaskFailed ExecutionFailed"},
		{"timeout", `"TimeoutSeconds": 5,`, asltest.Hang(), 5 * time.Second, "States.Timeout", begin + "TaskTimedOut ExecutionFailed"},
		{"too late", `"TimeoutSeconds": 5,`, asltest.Output(`1`).After(6 * time.Second), 5 * time.Second, "States.Timeout", begin + "TaskTimedOut ExecutionFailed"},
		{"no heartbeat", `"HeartbeatSeconds": 5,`, asltest.Hang(), 5 * time.Second, "States.Timeout", begin + "TaskTimedOut ExecutionFailed"},
		{"no heartbeat before the timeout", `"TimeoutSeconds": 600, "HeartbeatSeconds": 5,`, asltest.Hang(), 5 * time.Second, "States.Timeout", begin + "TaskTimedOut ExecutionFailed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := asltest.Run(t, asltest.Case{Definition: ask(tc.fields), Functions: asltest.Functions{asking: asltest.Replies(tc.reply)}})
			if run.Error != tc.err || run.Duration != tc.took || strings.Join(run.Types(), " ") != tc.events {
				t.Errorf("error %q in %s: %s", run.Error, run.Duration, strings.Join(run.Types(), " "))
			}
			if tc.err == "" && run.Output != `"yes"` {
				t.Errorf("output %s", run.Output)
			}
		})
	}
}

func TestCallbackWithRetryAndCatch(t *testing.T) {
	var tokens []string
	run := asltest.Run(t, asltest.Case{
		Definition: ask(`"TimeoutSeconds": 60, "Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1}],
			"Catch": [{"ErrorEquals": ["States.TaskFailed"], "Output": "{% $states.errorOutput.Cause %}", "Next": "B"}],`),
		Functions: asltest.Functions{asking: func(_ context.Context, call asltest.Call) asltest.Reply {
			tokens = append(tokens, call.Token)
			return []asltest.Reply{asltest.Hang(), asltest.Fail("Refused", "no")}[call.N]
		}},
	})
	if run.Output != `"no"` {
		t.Errorf("output %s, %s: %s", run.Output, run.Error, run.Cause)
	}
	if len(tokens) != 2 || tokens[0] == tokens[1] || !asl.IsToken(tokens[0]) || !asl.IsToken(tokens[1]) {
		t.Errorf("tokens %q", tokens)
	}
}

func TestStopWhileWaiting(t *testing.T) {
	run := asltest.Run(t, asltest.Case{Definition: ask(``), Functions: asltest.Functions{asking: asltest.Replies(asltest.Hang())}, StopAfter: time.Hour})
	if run.Status != types.ExecutionStatusAborted || run.Duration != time.Hour {
		t.Errorf("%s after %s", run.Status, run.Duration)
	}
}

// The token is there only for who waits.
func TestTokenElsewhere(t *testing.T) {
	run := asltest.Run(t, asltest.Case{Definition: strings.Replace(ask(``), asl.CallbackSuffix, "", 1), Functions: asltest.Functions{"events:putEvents": asltest.Replies(asltest.Output(`1`))}})
	if run.Error != asl.ErrQueryEvaluation || len(run.Calls) != 0 {
		t.Errorf("%s: %s", run.Error, run.Cause)
	}
}

// Each of the integrations can be scripted, and used by a Map.
func TestScriptedIntegrations(t *testing.T) {
	const resources = `"S3": {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject", "Arguments": {"Bucket": "b", "Key": "k"}, "Next": "Put"},
		"Put": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents", "Arguments": {"Entries": []}, "Next": "Ask"},
		"Ask": {"Type": "Task", "Resource": "arn:aws:states:::events:putEvents.waitForTaskToken", "Arguments": {"Entries": []}, "Next": "Call"},
		"Call": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Arguments": {"FunctionName": "f"}, "End": true}`
	run := asltest.Run(t, asltest.Case{
		Definition: machine(`"A": {"Type": "Map", "Items": [1], "ItemProcessor": {"StartAt": "S3", "States": {` + resources + `}}, "End": true}`),
		Functions: asltest.Functions{
			"aws-sdk:s3:putObject": asltest.Replies(asltest.Output(`{"ETag": "1"}`)), "events:putEvents": asltest.Replies(asltest.Output(`{"FailedEntryCount": 0}`)),
			asking: asltest.Replies(asltest.Output(`"yes"`)), "f": asltest.Replies(asltest.Output(`"called"`)),
		},
	})
	if want := []string{"aws-sdk:s3:putObject", "events:putEvents", asking, "f"}; !slices.Equal(run.Calls, want) || run.Output != `["called"]` {
		t.Errorf("calls %q, output %s, %s: %s", run.Calls, run.Output, run.Error, run.Cause)
	}
}

// submitted hands out the tokens of the tasks that it is given.
type submitted chan string

func (s submitted) Run(_ context.Context, task asl.Task) (json.RawMessage, error) {
	s <- task.Token
	return json.RawMessage(`{}`), nil
}

func TestHeartbeats(t *testing.T) {
	engine := asltest.Engine(t)
	parsed, err := asl.Parse(engine, []byte(ask(`"HeartbeatSeconds": 10,`)))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		tasks := make(submitted, 1)
		runner := asl.NewRunner(asl.Options{Tasks: tasks})
		e, err := runner.Start(t.Context(), parsed, asl.Start{MachineARN: asltest.MachineARN, Name: "run", Input: json.RawMessage(`{}`)})
		if err != nil {
			t.Error(err)
			return
		}
		waiting := runner.Callback(<-tasks)
		for range 3 {
			time.Sleep(9 * time.Second)
			if !waiting.Heartbeat() {
				t.Error("nobody heard the heartbeat")
			}
		}
		<-e.Done()
		if took := e.End().StopDate.Sub(e.StartDate); e.End().Failure.Name != asl.ErrTimeout || took != 37*time.Second {
			t.Errorf("%v after %s", e.End().Failure, took)
		}
		if waiting.Heartbeat() || waiting.Succeed(json.RawMessage(`1`)) || waiting.Fail("", "") {
			t.Error("an answer was taken after the end")
		}
	})
}
