package states_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
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
