package edge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
)

type event struct {
	Execution string `json:"execution"`
}

func (e event) LogAttrs() []slog.Attr { return []slog.Attr{slog.String("execution", e.Execution)} }

var _ lambda.Handler = (*edge.Handler[event, string])(nil)

func TestInvoke(t *testing.T) {
	tests := []struct {
		name    string
		payload string
		err     error
		want    messages.InvokeResponse_Error
	}{
		{name: "a result", payload: `{"execution": "arn"}`},
		{name: "a named error", payload: `{}`, err: fault.New(fault.Conflict, "spec.x is owned"),
			want: messages.InvokeResponse_Error{Type: "CrossApply.Conflict", Message: "spec.x is owned"}},
		{name: "a named error in wraps", payload: `{}`, err: fmt.Errorf("again: %w", errors.Join(fault.New(fault.Throttled, "slow down"))),
			want: messages.InvokeResponse_Error{Type: "CrossApply.Throttled", Message: "again: slow down"}},
		{name: "an error without a name", payload: `{}`, err: errors.New("oh"),
			want: messages.InvokeResponse_Error{Type: "CrossApply.Internal", Message: "oh"}},
		{name: "an event of the wrong type", payload: `{"execution": {}}`,
			want: messages.InvokeResponse_Error{Type: "CrossApply.InvalidRequest", Message: "the event of stage cannot be read: execution must be of type string, not object"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var logs bytes.Buffer
			handler := edge.New("stage", &logs, func(ctx context.Context, _ event) (string, error) {
				edge.Logger(ctx).Info("working")
				return "done", test.err
			})
			out, err := handler.Invoke(t.Context(), []byte(test.payload))
			if test.want.Type == "" {
				if err != nil || string(out) != `"done"` {
					t.Errorf("got %s, %v", out, err)
				}
				checkLine(t, &logs, map[string]any{"level": "INFO", "message": "working", "stage": "stage", "execution": "arn"})
				return
			}
			// The runtime asserts the type on the value itself: so does this.
			got, ok := err.(messages.InvokeResponse_Error) //nolint:errorlint // see above
			if !ok || got.Type != test.want.Type || got.Message != test.want.Message {
				t.Errorf("got %#v, want %#v", err, test.want)
			}
			lines := bytes.Split(bytes.TrimSpace(logs.Bytes()), []byte("\n"))
			checkLine(t, bytes.NewBuffer(lines[len(lines)-1]), map[string]any{"level": "ERROR", "error": test.want.Type, "stage": "stage"})
		})
	}
}

// A handler that hangs is told to end before Lambda ends the sandbox.
func TestDeadline(t *testing.T) {
	handler := edge.New("stage", t.Output(), func(ctx context.Context, _ event) (string, error) {
		<-ctx.Done()
		return "", fault.Wrap(ctx.Err(), fault.AWSUnavailable, "STS does not answer")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
	defer cancel()
	_, err := handler.Invoke(ctx, []byte("{}"))
	if ctx.Err() != nil {
		t.Error("the handler ended after the function's own time")
	}
	var reported messages.InvokeResponse_Error
	if !errors.As(err, &reported) || reported.Type != "CrossApply.AWSUnavailable" {
		t.Errorf("got %v", err)
	}
}

func checkLine(t *testing.T, line *bytes.Buffer, want map[string]any) {
	t.Helper()
	var got map[string]any
	if err := json.Unmarshal(line.Bytes(), &got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if got["timestamp"] == nil {
		t.Errorf("no timestamp in %s", line)
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s = %v, want %v, in %s", key, got[key], value, line)
		}
	}
}
