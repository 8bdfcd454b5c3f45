package asltest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
)

// The names under which the cases run.
const (
	MachineARN   = "arn:aws:states:eu-west-1:111111111111:stateMachine:test"
	RoleARN      = "arn:aws:iam::111111111111:role/test"
	ExecutionARN = "arn:aws:states:eu-west-1:111111111111:execution:test:run"
)

// Case is one execution.
type Case struct {
	Definition string
	Input      string // JSON; "" is {}
	Functions  Functions
	Objects    Objects // what the bucket holds at the start
	// StopAfter stops the execution after that time; 0 lets it end by itself.
	StopAfter time.Duration
	// Pause is the runner's: see [asl.Options].
	Pause func(time.Duration) time.Duration
}

// Functions are the scripted Lambda functions. The key is a function's name, or
// its ARN, as the definition spells it; "" stands for all functions that have
// no entry. Another service's task has its integration as key, such as
// aws-sdk:s3:putObject, and the reply's Payload is its result. For a task that waits
// for an answer to its token, such as events:putEvents.waitForTaskToken, the reply is
// that answer; its submission always succeeds.
type Functions map[string]Function

// Function answers calls. It may be called from several goroutines at once.
type Function func(ctx context.Context, call Call) Reply

// Call is one call of a function.
type Call struct {
	N            int // from 0, counted for each function
	Payload      json.RawMessage
	State        string
	RetryCount   int // of the state
	ExecutionARN string
	Token        string // of a task that waits for an answer to it
}

// Reply is how a function ends.
type Reply struct {
	Payload json.RawMessage
	Error   string // of the failed function; "" is success
	Cause   string
	Delay   time.Duration // before it ends
	Hang    bool          // it does not end by itself
	// Result is the whole result of the task in place of what is made of
	// Payload.
	Result json.RawMessage
}

// Output is a reply with a JSON payload.
func Output(payload string) Reply { return Reply{Payload: json.RawMessage(payload)} }

// Fail is a reply with an error.
func Fail(name, cause string) Reply { return Reply{Error: name, Cause: cause} }

// Hang is a function that never ends.
func Hang() Reply { return Reply{Hang: true} }

// After delays a reply.
func (r Reply) After(d time.Duration) Reply {
	r.Delay = d
	return r
}

// Replies makes a function that gives the replies in turn, and the last one
// for ever after.
func Replies(replies ...Reply) Function {
	return func(_ context.Context, call Call) Reply {
		return replies[min(call.N, len(replies)-1)]
	}
}

// Objects is a store of objects in memory, by "bucket/key".
type Objects map[string]string

// Outcome is what an execution did.
type Outcome struct {
	Status   types.ExecutionStatus
	Output   string // JSON
	Error    string
	Cause    string
	Route    []string // the names of the states, in the order in which they were entered
	Events   []types.HistoryEvent
	Calls    []string // names of the functions called, in order
	Duration time.Duration
	Objects  Objects // what the bucket holds at the end
	Children []Outcome
}

// Types returns the types of the events.
func (o Outcome) Types() []string {
	out := make([]string, len(o.Events))
	for i, ev := range o.Events {
		out[i] = string(ev.Type)
	}
	return out
}

// Engine loads the JSONata engine, from the node_modules above the working
// directory.
func Engine(tb testing.TB) *jsonata.Engine {
	tb.Helper()
	file, err := jsonata.Locate(".")
	if err != nil {
		tb.Fatal(err)
	}
	// A fixed seed: the same test sees the same random values.
	engine, err := jsonata.New(file, jsonata.Options{Rand: rand.NewChaCha8([32]byte{1}), Limit: time.Minute})
	if err != nil {
		tb.Fatal(err)
	}
	return engine
}

// Run runs a case to its end. A definition that cannot be parsed fails the test.
func Run(t *testing.T, c Case) Outcome {
	t.Helper()
	machine, err := asl.Parse(Engine(t), []byte(c.Definition))
	if err != nil {
		t.Fatal(err)
	}
	return RunMachine(t, machine, c)
}

// RunMachine runs a machine that was parsed before; the case's Definition is
// not used.
func RunMachine(t *testing.T, machine *asl.Machine, c Case) Outcome {
	t.Helper()
	var outcome Outcome
	synctest.Test(t, func(t *testing.T) {
		w := &world{functions: c.Functions, objects: maps.Clone(c.Objects), calls: map[string]int{}}
		if w.objects == nil {
			w.objects = Objects{}
		}
		w.runner = asl.NewRunner(asl.Options{Tasks: w, Objects: w, Rand: rand.NewChaCha8([32]byte{1}), Pause: c.Pause})
		input := c.Input
		if input == "" {
			input = "{}"
		}
		e, err := w.runner.Start(t.Context(), machine, asl.Start{
			MachineARN: MachineARN, RoleARN: RoleARN, Name: "run", Input: json.RawMessage(input),
		})
		if err != nil {
			t.Error(err)
			return
		}
		if c.StopAfter > 0 {
			time.Sleep(c.StopAfter)
			e.Stop("Stopped", "by the test")
		}
		<-e.Done()
		outcome = outcomeOf(e)
		outcome.Calls, outcome.Objects = w.order, w.objects
	})
	return outcome
}

func outcomeOf(e *asl.Execution) Outcome {
	end := e.End()
	o := Outcome{
		Status: end.Status, Output: string(end.Output), Error: end.Failure.Name, Cause: end.Failure.Cause,
		Events: e.History(), Duration: end.StopDate.Sub(e.StartDate),
	}
	for _, ev := range o.Events {
		if ev.StateEnteredEventDetails != nil {
			o.Route = append(o.Route, *ev.StateEnteredEventDetails.Name)
		}
	}
	for _, run := range e.MapRuns() {
		for _, child := range run.Executions() {
			o.Children = append(o.Children, outcomeOf(child))
		}
	}
	return o
}

// world is what a case's execution sees of the outside.
type world struct {
	functions Functions
	runner    *asl.Runner

	mu      sync.Mutex
	objects Objects
	calls   map[string]int
	order   []string
}

// Run answers a task as the Lambda integration does.
func (w *world) Run(ctx context.Context, task asl.Task) (json.RawMessage, error) {
	name, payload := task.Resource, task.Arguments
	invoke := strings.HasSuffix(strings.TrimSuffix(task.Resource, asl.CallbackSuffix), ":states:::lambda:invoke")
	if invoke {
		var arguments struct {
			FunctionName string
			Payload      json.RawMessage
		}
		if err := json.Unmarshal(task.Arguments, &arguments); err != nil {
			return nil, &asl.Error{Name: asl.ErrRuntime, Cause: err.Error()}
		}
		name, payload = arguments.FunctionName, arguments.Payload
	} else if _, integration, ok := strings.Cut(task.Resource, ":states:::"); ok {
		name = integration
	}
	function := w.functions[name]
	if function == nil && w.functions[""] != nil {
		function = w.functions[""]
	}
	if function == nil {
		name = name[strings.LastIndex(name, ":")+1:]
		function = w.functions[name]
	}
	if function == nil {
		return nil, &asl.Error{Name: "Lambda.ResourceNotFoundException", Cause: "Function not found: " + name}
	}
	w.mu.Lock()
	n := w.calls[name]
	w.calls[name]++
	w.order = append(w.order, name)
	w.mu.Unlock()
	reply := function(ctx, Call{
		N: n, Payload: payload, State: task.State, RetryCount: task.RetryCount, ExecutionARN: task.ExecutionARN, Token: task.Token,
	})
	if task.Token != "" {
		go w.settle(ctx, task.Token, reply)
		return json.RawMessage(`{}`), nil
	}
	return answer(ctx, invoke, reply)
}

// settle answers a token, unless ctx, which lasts as long as the task, ends first.
func (w *world) settle(ctx context.Context, token string, reply Reply) {
	waiting := w.runner.Callback(token)
	output, err := answer(ctx, false, reply)
	var failure *asl.Error
	switch {
	case errors.As(err, &failure):
		waiting.Fail(failure.Name, failure.Cause)
	case err == nil:
		waiting.Succeed(output)
	}
}

func answer(ctx context.Context, invoke bool, reply Reply) (json.RawMessage, error) {
	if reply.Hang {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	if err := (asl.SystemClock{}).Sleep(ctx, reply.Delay); err != nil {
		return nil, err
	}
	switch {
	case reply.Error != "":
		return nil, &asl.Error{Name: reply.Error, Cause: reply.Cause}
	case reply.Result != nil:
		return reply.Result, nil
	case !invoke:
		return reply.Payload, nil
	}
	return json.Marshal(map[string]any{"ExecutedVersion": "$LATEST", "Payload": reply.Payload, "StatusCode": 200})
}

// Get reads an object.
func (w *world) Get(_ context.Context, _ *asl.Execution, bucket, key string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, ok := w.objects[bucket+"/"+key]
	if !ok {
		return nil, fmt.Errorf("object %s: %w", key, fs.ErrNotExist)
	}
	return []byte(body), nil
}

// Put writes an object.
func (w *world) Put(_ context.Context, _ *asl.Execution, bucket, key string, body []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.objects[bucket+"/"+key] = string(body)
	return nil
}

// Find returns the one object whose name ends with suffix.
func (o Objects) Find(tb testing.TB, suffix string) string {
	tb.Helper()
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if strings.HasSuffix(name, suffix) {
			return o[name]
		}
	}
	tb.Fatalf("no object %q among %q", suffix, slices.Sorted(maps.Keys(o)))
	return ""
}
