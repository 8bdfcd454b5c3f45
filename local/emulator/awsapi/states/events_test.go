package states_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
)

// allow gives the role of the state machines one permission.
func (w *world) allow(t *testing.T, action, resource string) {
	t.Helper()
	role := awsapitest.MachineRole()
	role.Policies = []string{awsapitest.Allow(action, resource)}
	if err := w.aws.IAM.PutRole(role); err != nil {
		t.Fatal(err)
	}
}

const defaultBus = "arn:aws:events:eu-west-1:111111111111:event-bus/default"

func TestPutEvents(t *testing.T) {
	w := newWorld(t)
	w.allow(t, "events:PutEvents", defaultBus)
	for i, tt := range []struct{ name, entries, detail, failure, cause string }{
		{"an object", `{"Source":"shop","DetailType":"Order","Detail":{"a": [1.50, "<é>"]},"Resources":["arn:aws:s3:::runs"]}`, `{"a":[1.50,"<é>"]}`, "", ""},
		{"its text", `{"Source":"shop","DetailType":"Order","Detail":"{% $string({'a': 1}) %}"}`, `{"a":1}`, "", ""},
		{"at a time", `{"Source":"shop","DetailType":"Order","Detail":{},"Time":"2026-01-02T03:04:05Z"}`, `{}`, "", ""},
		{"no object", `{"Source":"shop","DetailType":"Order","Detail":[1]}`, ``, "EventBridge.FailedEntry", `"ErrorCode":"MalformedDetail"`},
		{"no source", `{"DetailType":"Order","Detail":{}}`, ``, "EventBridge.FailedEntry", `"FailedEntryCount":1`},
		{"AWS's source", `{"Source":"aws.ec2","DetailType":"Order","Detail":{}}`, ``, "EventBridge.FailedEntry", "NotAuthorizedForSourceException"},
		{"another bus", `{"Source":"shop","DetailType":"Order","Detail":{},"EventBusName":"other"}`, ``, "EventBridge.AccessDeniedException",
			"not authorized to perform: events:PutEvents on resource: arn:aws:events:eu-west-1:111111111111:event-bus/other"},
		{"another member", `{"source":"shop","DetailType":"Order","Detail":{}}`, ``, "States.Runtime", `Entries[0]: "source" is not supported`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(w.aws.Events.Events())
			out := w.run(t, fmt.Sprint("m", i), "arn:aws:states:::events:putEvents", `{"Entries":[`+tt.entries+`]}`)
			if aws.ToString(out.Error) != tt.failure || !strings.Contains(aws.ToString(out.Cause), tt.cause) {
				t.Fatalf("%s: %s, want %s: %s", aws.ToString(out.Error), aws.ToString(out.Cause), tt.failure, tt.cause)
			}
			recorded := w.aws.Events.Events()[before:]
			if tt.failure != "" {
				if len(recorded) != 0 {
					t.Errorf("recorded %+v", recorded)
				}
				return
			}
			var result struct {
				Entries []struct {
					EventID string `json:"EventId"`
				}
				FailedEntryCount int
				SdkHttpMetadata  struct{ HttpStatusCode int } //nolint:revive // Step Functions' spelling
			}
			if err := json.Unmarshal([]byte(*out.Output), &result); err != nil {
				t.Fatal(err)
			}
			ev := recorded[0]
			if len(result.Entries) != 1 || result.Entries[0].EventID != ev.ID || result.FailedEntryCount != 0 || result.SdkHttpMetadata.HttpStatusCode != 200 {
				t.Errorf("result %s", *out.Output)
			}
			who := ev.Resources[len(ev.Resources)-2:]
			if string(ev.Detail) != tt.detail || who[0] != *out.StateMachineArn || who[1] != *out.ExecutionArn {
				t.Errorf("event %+v", ev)
			}
		})
	}
}

// asks is a machine that sends an event with its token, and waits for the answer.
func asks(fields string) string {
	return `{"QueryLanguage":"JSONata","StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::events:putEvents.waitForTaskToken",
		"Arguments":{"Entries":[{"Source":"shop","DetailType":"Question","Detail":{"token":"{% $states.context.Task.Token %}"}}]},` + fields + `"End":true},
		"Caught":{"Type":"Pass","End":true}}}`
}

// asks starts an execution, and returns its ARN and the token in its nth event.
func (w *world) asks(t *testing.T, machine, name string) (arn, token string) {
	t.Helper()
	arn = w.start(t, machine, name, `{}`)
	return arn, w.token(t, arn, "")
}

// token is the one that an execution sends, other than one that it sent before.
func (w *world) token(t *testing.T, arn, before string) string {
	t.Helper()
	var detail struct{ Token string }
	_, err := w.aws.Events.Await(t.Context(), func(ev events.Event) bool {
		return ev.Resources[1] == arn && json.Unmarshal(ev.Detail, &detail) == nil && detail.Token != before
	})
	if err != nil {
		t.Fatal(err)
	}
	return detail.Token
}

func (w *world) succeed(t *testing.T, client *sfn.Client, token, output string) error {
	t.Helper()
	_, err := client.SendTaskSuccess(t.Context(), &sfn.SendTaskSuccessInput{TaskToken: &token, Output: &output})
	return err
}

func TestTaskToken(t *testing.T) {
	w := newWorld(t)
	w.allow(t, "events:PutEvents", defaultBus)
	arn, token := w.asks(t, w.create(t, "ask", strings.Replace(asks(`"TimeoutSeconds":600,"HeartbeatSeconds":60,`), `,
		"Caught":{"Type":"Pass","End":true}`, "", 1)), "one")
	if _, err := w.client.SendTaskHeartbeat(t.Context(), &sfn.SendTaskHeartbeatInput{TaskToken: &token}); err != nil {
		t.Error(err)
	}
	awsapitest.CheckCode(t, w.succeed(t, w.client, token, `{`), "InvalidOutput", 400)
	if err := w.succeed(t, w.client, token, `{ "approved": true }`); err != nil {
		t.Fatal(err)
	}
	if out := w.wait(t, arn); out.Status != types.ExecutionStatusSucceeded || *out.Output != `{"approved":true}` {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Output))
	}
	awsapitest.CheckCode(t, w.succeed(t, w.client, token, `{}`), "TaskTimedOut", 400)

	history, err := w.client.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, ev := range history.Events {
		seen = append(seen, string(ev.Type))
	}
	if got := strings.Join(seen, " "); got != "ExecutionStarted TaskStateEntered TaskScheduled TaskStarted TaskSubmitted TaskSucceeded TaskStateExited ExecutionSucceeded" {
		t.Fatal(got)
	}
	scheduled, submitted, succeeded := history.Events[2].TaskScheduledEventDetails, history.Events[4].TaskSubmittedEventDetails, history.Events[5].TaskSucceededEventDetails
	if *scheduled.Resource != "putEvents.waitForTaskToken" || *scheduled.ResourceType != "events" || !strings.Contains(*scheduled.Parameters, token) ||
		*scheduled.TimeoutInSeconds != 600 || *scheduled.HeartbeatInSeconds != 60 {
		t.Errorf("%+v", scheduled)
	}
	if *submitted.Resource != *scheduled.Resource || !strings.Contains(*submitted.Output, `"FailedEntryCount":0`) || submitted.OutputDetails.Truncated {
		t.Errorf("%+v", submitted)
	}
	if *succeeded.Resource != *scheduled.Resource || *succeeded.Output != `{"approved":true}` {
		t.Errorf("%+v", succeeded)
	}
}

// A new attempt has a new token, and the old one is of no more use.
func TestTaskTokenOfAnAttempt(t *testing.T) {
	w := newWorld(t)
	w.allow(t, "events:PutEvents", defaultBus)
	machine := w.create(t, "ask", asks(`"Retry":[{"ErrorEquals":["Later"],"MaxAttempts":1}],
		"Catch":[{"ErrorEquals":["No"],"Output":"{% $states.errorOutput %}","Next":"Caught"}],`))
	fail := func(token, name, cause string) error {
		_, err := w.client.SendTaskFailure(t.Context(), &sfn.SendTaskFailureInput{TaskToken: &token, Error: &name, Cause: &cause})
		return err
	}
	arn, first := w.asks(t, machine, "one")
	if err := fail(first, "Later", ""); err != nil {
		t.Fatal(err)
	}
	second := w.token(t, arn, first)
	awsapitest.CheckCode(t, fail(first, "No", ""), "TaskTimedOut", 400)
	if err := fail(second, "No", "not on a Friday"); err != nil {
		t.Fatal(err)
	}
	if out := w.wait(t, arn); aws.ToString(out.Output) != `{"Error":"No","Cause":"not on a Friday"}` {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Output))
	}
}

func TestTaskTokenThatIsRefused(t *testing.T) {
	w := newWorld(t)
	w.allow(t, "events:PutEvents", defaultBus)
	machine := w.create(t, "ask", strings.Replace(asks(""), `,
		"Caught":{"Type":"Pass","End":true}`, "", 1))
	arn, token := w.asks(t, machine, "one")

	flip := map[bool]string{true: "B", false: "A"}[token[0] == 'A']
	for name, tt := range map[string]struct{ token, code string }{
		"nonsense":     {"token", "InvalidToken"},
		"a part of it": {token[:len(token)-4], "InvalidToken"},
		"one like it":  {flip + token[1:], "TaskDoesNotExist"},
	} {
		t.Run(name, func(t *testing.T) {
			awsapitest.CheckCode(t, w.succeed(t, w.client, tt.token, `{}`), tt.code, 400)
			_, err := w.client.SendTaskFailure(t.Context(), &sfn.SendTaskFailureInput{TaskToken: &tt.token})
			awsapitest.CheckCode(t, err, tt.code, 400)
			_, err = w.client.SendTaskHeartbeat(t.Context(), &sfn.SendTaskHeartbeatInput{TaskToken: &tt.token})
			awsapitest.CheckCode(t, err, tt.code, 400)
		})
	}

	// Who may answer is a question of the state machine.
	guest := awsapitest.Guest()
	for policy, code := range map[string]string{
		awsapitest.Allow("states:SendTaskSuccess", machine+"2"): "AccessDeniedException",
		awsapitest.Allow("states:SendTaskFailure", machine):     "AccessDeniedException",
		awsapitest.Allow("states:SendTaskSuccess", arn):         "AccessDeniedException",
		awsapitest.Allow("states:SendTaskSuccess", machine):     "InvalidOutput",
	} {
		guest.Policies = []string{policy}
		if err := w.aws.IAM.PutUser(guest); err != nil {
			t.Fatal(err)
		}
		awsapitest.CheckCode(t, w.succeed(t, w.as(guest), token, `{`), code, 400)
	}
	awsapitest.CheckCode(t, w.succeed(t, w.as(awsapitest.Outsider()), token, `{}`), "AccessDeniedException", 400)

	if _, err := w.client.StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: &arn}); err != nil {
		t.Fatal(err)
	}
	awsapitest.CheckCode(t, w.succeed(t, w.client, token, `{}`), "TaskTimedOut", 400)
}

// What cannot be submitted is not waited for.
func TestTaskTokenThatIsNotSent(t *testing.T) {
	w := newWorld(t) // its role may not send events
	out := w.run(t, "m", "arn:aws:states:::events:putEvents.waitForTaskToken", `{"Entries":[{"Source":"shop","DetailType":"Order","Detail":{}}]}`)
	if out.Status != types.ExecutionStatusFailed || aws.ToString(out.Error) != "EventBridge.AccessDeniedException" {
		t.Errorf("%s %s", out.Status, aws.ToString(out.Error))
	}
}
