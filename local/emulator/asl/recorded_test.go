package asl_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
)

// recorded is an execution that was recorded on AWS.
type recorded struct {
	ID         string
	Definition json.RawMessage
	Input      json.RawMessage
	Tasks      []struct {
		Output   json.RawMessage
		Error    string
		Cause    json.RawMessage
		TimedOut bool
	}
	Route  []string
	Events []string
	Expect struct {
		Type, Error string
		Cause       any
		Output      json.RawMessage
	}
}

// TestRecordedExecutions compares the runner with executions recorded on AWS.
func TestRecordedExecutions(t *testing.T) {
	file := filepath.Join("..", "..", "..", "shared", "asl-vectors", "executions.json")
	body, err := os.ReadFile(file)
	if err != nil {
		t.Skipf("the recorded executions are not part of the repository and are not beside it: %v", err)
	}
	var cases []recorded
	if err := json.Unmarshal(body, &cases); err != nil {
		t.Fatal(err)
	}
	var refusals []string // ids of those whose definitions may be refused: none
	engine := asltest.Engine(t)
	var passed, refused, sameEvents int
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			machine, err := asl.Parse(engine, c.Definition)
			var unsupported *asl.UnsupportedError
			switch {
			case errors.As(err, &unsupported):
				refused++
				if !slices.Contains(refusals, c.ID) {
					t.Errorf("refused: %v", err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			run := asltest.RunMachine(t, machine, asltest.Case{Input: string(c.Input), Functions: c.functions()})
			if c.check(t, run); !t.Failed() {
				passed++
			}
			if slices.Equal(run.Types(), c.Events) {
				sameEvents++
			} else {
				t.Logf("events differ:\n got %q\nwant %q", run.Types(), c.Events)
			}
		})
	}
	t.Logf("%d executions recorded on AWS: %d passed, %d refused; %d have the same events in the same order",
		len(cases), passed, refused, sameEvents)
}

// functions replays the recorded tasks, whatever function is called.
func (c recorded) functions() asltest.Functions {
	next := make(chan int, 1)
	next <- 0
	play := func(context.Context, asltest.Call) asltest.Reply {
		i := <-next
		next <- i + 1
		if i >= len(c.Tasks) {
			return asltest.Fail("Test.TooManyCalls", "more calls than were recorded")
		}
		switch task := c.Tasks[i]; {
		case task.TimedOut:
			return asltest.Hang()
		case task.Error != "":
			return asltest.Fail(task.Error, compactText(task.Cause))
		default:
			return asltest.Reply{Result: task.Output}
		}
	}
	return asltest.Functions{"": play}
}

// compactText is the text of a cause, which was recorded as text or parsed.
func compactText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return string(raw)
	}
	return out.String()
}

func (c recorded) check(t *testing.T, run asltest.Outcome) {
	t.Helper()
	if got := run.Types()[len(run.Events)-1]; got != c.Expect.Type {
		t.Errorf("ended with %s (%s: %s), AWS with %s", got, run.Error, run.Cause, c.Expect.Type)
	}
	if run.Error != c.Expect.Error {
		t.Errorf("error %q, on AWS %q", run.Error, c.Expect.Error)
	}
	if want, ok := c.Expect.Cause.(string); ok && run.Cause != want {
		t.Logf("cause differs:\n got %s\nwant %s", run.Cause, want)
	}
	if !slices.Equal(run.Route, c.Route) {
		t.Errorf("route %q, on AWS %q", run.Route, c.Route)
	}
	if got, want := anonymous(t, []byte(run.Output)), anonymous(t, c.Expect.Output); !reflect.DeepEqual(got, want) {
		t.Errorf("output %s, on AWS %s", run.Output, c.Expect.Output)
	}
}

// anonymous decodes an output, which was recorded as JSON or as its text, and
// whose timestamps were replaced.
func anonymous(t *testing.T, raw []byte) any {
	t.Helper()
	if len(raw) == 0 {
		return nil
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if s, ok := v.(string); ok {
		var inner any
		if json.Unmarshal([]byte(s), &inner) == nil {
			v = inner
		}
	}
	if o, ok := v.(map[string]any); ok && o["TimestampValue"] != nil {
		o["TimestampValue"] = "date"
	}
	return v
}
