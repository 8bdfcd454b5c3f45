package states_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
)

// asks is a machine that sends an event with its token, and waits for the answer.
func asks(fields, states string) string {
	return `{"QueryLanguage":"JSONata","StartAt":"Ask","States":{"Ask":{"Type":"Task","Resource":"arn:aws:states:::events:putEvents.waitForTaskToken",
		"Arguments":{"Entries":[{"Source":"shop","DetailType":"Question","Detail":{"token":"{% $states.context.Task.Token %}"}}]},` + fields + `"End":true}` + states + `}}`
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
	arn, token := w.asks(t, w.create(t, "ask", asks(`"TimeoutSeconds":600,"HeartbeatSeconds":60,`, "")), "one")
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
		"Catch":[{"ErrorEquals":["No"],"Output":"{% $states.errorOutput %}","Next":"Caught"}],`, `,"Caught":{"Type":"Pass","End":true}`))
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
	machine := w.create(t, "ask", asks("", ""))
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

// A function is given its token in its payload, and ends before it is answered.
func TestTaskTokenOfAFunction(t *testing.T) {
	w := newWorld(t)
	tokens := make(chan string, 1)
	w.lambda = func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		tokens <- strings.Trim(string(body), `"`)
		_, _ = io.WriteString(rw, `"asked"`)
	}
	arn := w.start(t, w.create(t, "m", `{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken",
		"Arguments":{"FunctionName":"ask","Payload":"{% $states.context.Task.Token %}"},"End":true}}}`), "x", `{}`)
	if err := w.succeed(t, w.client, <-tokens, `"answered"`); err != nil {
		t.Fatal(err)
	}
	if out := w.wait(t, arn); aws.ToString(out.Output) != `"answered"` {
		t.Errorf("%s %s: %s", aws.ToString(out.Output), aws.ToString(out.Error), aws.ToString(out.Cause))
	}
}

// A Map's child is answered as its state machine is.
func TestTaskTokenOfAChild(t *testing.T) {
	w := newWorld(t)
	w.allow(t, "*", "*")
	child := strings.Replace(asks("", ""), `"QueryLanguage":"JSONata"`, `"ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":"STANDARD"}`, 1)
	machine := w.create(t, "fleet", `{"QueryLanguage":"JSONata","StartAt":"M","States":{"M":{"Type":"Map","Label":"L","Items":[1],"ItemProcessor":`+child+`,"End":true}}}`)
	arn := w.start(t, machine, "x", `{}`)
	ev, err := w.aws.Events.Await(t.Context(), func(events.Event) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if want := machine + "/L"; ev.Resources[0] != want {
		t.Errorf("event of %s, want %s", ev.Resources[0], want)
	}
	guest := awsapitest.Guest()
	guest.Policies = []string{awsapitest.Allow("states:SendTaskSuccess", machine)}
	if err := w.aws.IAM.PutUser(guest); err != nil {
		t.Fatal(err)
	}
	if err := w.succeed(t, w.as(guest), w.token(t, ev.Resources[1], ""), `"yes"`); err != nil {
		t.Fatal(err)
	}
	if out := w.wait(t, arn); aws.ToString(out.Output) != `["yes"]` {
		t.Errorf("%s %s: %s", aws.ToString(out.Output), aws.ToString(out.Error), aws.ToString(out.Cause))
	}
}
