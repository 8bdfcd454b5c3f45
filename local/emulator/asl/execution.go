package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"github.com/google/uuid"

	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
)

// Task is one attempt of one Task state.
type Task struct {
	Resource     string          // as the definition names it
	Arguments    json.RawMessage // of the state, evaluated
	RoleARN      string          // of the state machine
	MachineARN   string          // of a distributed Map's child: <machine>/<label>
	ExecutionARN string
	State        string
	RetryCount   int
	// Token is that of a state that waits for an answer to it: what Run returns is
	// then no result, but what the history tells of the submission.
	Token string
}

// Tasks does the work of Task states. Run returns the state's result as JSON.
// An *Error chooses the error's name; another error becomes States.TaskFailed.
// Run must return soon after its context ends.
type Tasks interface {
	Run(ctx context.Context, task Task) (json.RawMessage, error)
}

// Objects is the bucket that a distributed Map reads from and writes to, as the
// role of the execution that it belongs to may. Errors become
// States.ItemReaderFailed and States.ResultWriterFailed.
type Objects interface {
	Get(ctx context.Context, by *Execution, bucket, key string) ([]byte, error)
	Put(ctx context.Context, by *Execution, bucket, key string, body []byte) error
}

// Children hears of what distributed Maps start.
type Children interface {
	// MapRunStarting is called before a map run starts. An error fails the
	// run, for example when the machine's role may not start executions.
	MapRunStarting(ctx context.Context, run *MapRun) error
	// ExecutionStarting is called before a child's first event.
	ExecutionStarting(child *Execution)
}

// Options are what a Runner takes from outside.
type Options struct {
	Tasks    Tasks
	Objects  Objects       // nil: distributed Maps may not read or write objects
	Children Children      // nil: nobody listens
	Archive  Archive       // nil: what has ended stays in memory
	Clock    Clock         // nil: SystemClock
	Rand     *rand.ChaCha8 // for jitter, ids and tokens; nil: seeded by the system
	// Pause says how long a pause really is, for tests that cannot wait for it: that of
	// a Wait state with seconds, that before a retry, and the time that an answer to a
	// task token may take. A Wait state with a timestamp ends at that time, since what
	// follows may look at a clock. Nil: as long as it should be.
	Pause func(time.Duration) time.Duration
}

// Runner runs machines. It is safe for concurrent use.
type Runner struct {
	tasks    Tasks
	objects  Objects
	children Children
	archive  Archive
	clock    Clock
	shorten  func(time.Duration) time.Duration

	randMu sync.Mutex
	rand   *rand.ChaCha8

	callbacks callbacks
}

// NewRunner makes a runner.
func NewRunner(opts Options) *Runner {
	if opts.Clock == nil {
		opts.Clock = SystemClock{}
	}
	if opts.Rand == nil {
		opts.Rand = jsonata.NewRand()
	}
	if opts.Pause == nil {
		opts.Pause = func(d time.Duration) time.Duration { return d }
	}
	return &Runner{
		tasks: opts.Tasks, objects: opts.Objects, children: opts.Children, archive: opts.Archive,
		clock: opts.Clock, shorten: opts.Pause, rand: opts.Rand,
	}
}

// pause returns when a pause of d is over, or earlier with the context's error.
func (r *Runner) pause(ctx context.Context, d time.Duration) error {
	return r.clock.Sleep(ctx, r.shorten(d))
}

// Start says what to run and as whom.
type Start struct {
	MachineARN string // arn:aws:states:<region>:<account>:stateMachine:<name>
	RoleARN    string
	Name       string // of the execution
	Input      json.RawMessage
}

// Execution is one run of a machine. All methods are safe for concurrent use.
type Execution struct {
	ARN, Name           string
	MachineARN, RoleARN string
	StartDate           time.Time
	MapRun              *MapRun // of a distributed Map's child, else nil

	runner  *Runner
	machine *Machine
	graph   *graph
	history history
	cancel  context.CancelCauseFunc
	done    chan struct{}

	atTransition atomic.Pointer[stopped] // nil: nobody has asked for that

	mu            sync.Mutex
	input, output json.RawMessage // nil once they are in the archive
	archived      *archived
	end           End
	mapRuns       []*MapRun
}

// End is how an execution has ended. Of one that runs, only Status is set.
type End struct {
	Status   types.ExecutionStatus
	Failure  Error // of one that did not
	StopDate time.Time
}

// Start begins an execution, which lives until it ends, is stopped, or ctx
// ends. It returns an error when the input is not JSON or too large.
func (r *Runner) Start(ctx context.Context, m *Machine, start Start) (*Execution, error) {
	input, err := compact(start.Input)
	if err != nil {
		return nil, fmt.Errorf("execution input: %w", err)
	}
	if len(start.Input) > MaxPayload {
		return nil, fmt.Errorf("execution input: %d bytes, more than %d", len(start.Input), MaxPayload)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	e := r.newExecution(m, m.graph, start.MachineARN, start.RoleARN, start.Name, input, cancel)
	e.launch(ctx)
	return e, nil
}

func (r *Runner) newExecution(m *Machine, g *graph, machineARN, roleARN, name string, input json.RawMessage, cancel context.CancelCauseFunc) *Execution {
	return &Execution{
		ARN:        ExecutionARN(machineARN, name),
		Name:       name,
		MachineARN: machineARN, RoleARN: roleARN, StartDate: r.clock.Now(), input: input,
		runner: r, machine: m, graph: g,
		history: history{clock: r.clock},
		cancel:  cancel,
		done:    make(chan struct{}),
		end:     End{Status: types.ExecutionStatusRunning},
	}
}

// ExecutionARN is the ARN of a machine's execution of that name.
func ExecutionARN(machineARN, name string) string {
	return strings.Replace(machineARN, ":stateMachine:", ":execution:", 1) + ":" + name
}

// launch runs the execution until it ends or ctx, which e.cancel ends, does.
func (e *Execution) launch(ctx context.Context) {
	go func() {
		defer close(e.done)
		defer e.cancel(context.Canceled)
		e.run(ctx)
		e.archive()
	}()
}

// errExecutionTimedOut ends the context of an execution whose machine has a
// TimeoutSeconds.
var errExecutionTimedOut = errors.New("the execution has timed out")

// stopped ends the context of an execution that someone stops.
type stopped struct{ failure Error }

func (s *stopped) Error() string { return s.failure.Error() }

func (e *Execution) run(ctx context.Context) {
	timeout := e.machine.timeout
	if timeout > 0 && e.MapRun == nil {
		var cancel context.CancelFunc
		ctx, cancel = withTimeout(ctx, e.runner.clock, timeout, errExecutionTimedOut)
		defer cancel()
	}
	t := &thread{execution: e, scope: &scope{held: new(atomic.Int64)}}
	t.record(types.HistoryEvent{
		Type: types.HistoryEventTypeExecutionStarted,
		ExecutionStartedEventDetails: &types.ExecutionStartedEventDetails{
			Input: payload(e.input), InputDetails: whole(), RoleArn: text(e.RoleARN),
		},
	})
	output, err := t.run(ctx, e.graph, e.input)
	e.finish(ctx, t, output, err)
}

func (e *Execution) finish(ctx context.Context, t *thread, output json.RawMessage, err error) {
	end := End{Status: types.ExecutionStatusSucceeded}
	var failure *Error
	var stop *stopped
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.As(err, &failure):
		end = End{Status: types.ExecutionStatusFailed, Failure: *failure}
	case errors.Is(cause, errExecutionTimedOut):
		end = End{Status: types.ExecutionStatusTimedOut}
	case errors.As(cause, &stop):
		end = End{Status: types.ExecutionStatusAborted, Failure: stop.failure}
	default:
		end = End{Status: types.ExecutionStatusAborted}
	}
	end.StopDate = e.runner.clock.Now()
	t.record(endEvent(end, output))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.end = end
	if end.Status == types.ExecutionStatusSucceeded {
		e.output = output
	}
}

// Stop aborts the execution and its children with an error and a cause, both
// of which may be empty. Wait for Done to see it ended.
func (e *Execution) Stop(name, cause string) {
	e.cancel(&stopped{Error{name, cause}})
}

// StopAtTransition aborts the execution and its children when they next go on
// to another state, as those of a deleted machine.
func (e *Execution) StopAtTransition(name, cause string) {
	e.atTransition.CompareAndSwap(nil, &stopped{Error{name, cause}})
}

// stopAtTransition says why the execution, or one that it is a child of, must
// not go on, or nil.
func (e *Execution) stopAtTransition() *stopped {
	if stop := e.atTransition.Load(); stop != nil || e.MapRun == nil {
		return stop
	}
	return e.MapRun.Execution.stopAtTransition()
}

// Done is closed when the execution has ended.
func (e *Execution) Done() <-chan struct{} { return e.done }

// Status returns RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
func (e *Execution) Status() types.ExecutionStatus { return e.End().Status }

// End returns how the execution has ended, as one snapshot.
func (e *Execution) End() End {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.end
}

// MapRuns returns the map runs that the execution has started.
func (e *Execution) MapRuns() []*MapRun {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*MapRun(nil), e.mapRuns...)
}

// Definition returns the definition that the execution runs: of a child, the
// part of the machine that its Map gives to each item.
func (e *Execution) Definition() string {
	if e.MapRun != nil {
		return string(e.MapRun.state.distributed.definition)
	}
	return e.machine.definition
}

func (e *Execution) region() string {
	if parts := strings.Split(e.MachineARN, ":"); len(parts) > 3 {
		return parts[3]
	}
	return ""
}

func (r *Runner) randomFloat() float64 {
	r.randMu.Lock()
	defer r.randMu.Unlock()
	return rand.New(r.rand).Float64()
}

// NewID returns a random UUID, for an execution without a name.
func (r *Runner) NewID() string {
	r.randMu.Lock()
	defer r.randMu.Unlock()
	return uuid.Must(uuid.NewRandomFromReader(r.rand)).String()
}

// thread is one line of control: an execution's own, or that of a Parallel
// state's branch or of an inline Map's iteration.
type thread struct {
	execution *Execution
	scope     *scope
	last      int64    // id of its last event
	open      *visit   // the state that it is in
	item      *mapItem // of an inline Map's iteration
}

// mapItem is Map.Item of the context object.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html#contextobject-map
type mapItem struct {
	Index int
	Key   string // "": it is of an array
	Value json.RawMessage
	// Source is STATE_DATA, or S3://bucket/key where an ItemReader has read the
	// item. An inline Map has none: the guide shows one in an example, but
	// executions that read it were seen to fail.
	Source string
}

func (i *mapItem) object() jsonata.Object {
	out := jsonata.Object{{Name: "Index", Value: i.Index}}
	if i.Key != "" {
		out = append(out, jsonata.Member{Name: "Key", Value: i.Key})
	}
	out = append(out, jsonata.Member{Name: "Value", Value: i.Value})
	if i.Source != "" {
		out = append(out, jsonata.Member{Name: "Source", Value: i.Source})
	}
	return out
}

// record adds an event that follows the thread's last one.
func (t *thread) record(ev types.HistoryEvent) int64 {
	t.last = t.execution.history.add(t.last, ev)
	return t.last
}

func (t *thread) recordType(typ types.HistoryEventType) { t.record(types.HistoryEvent{Type: typ}) }

// fork returns a thread inside of this one: it sees this one's variables and
// keeps its own to itself.
func (t *thread) fork(item *mapItem) *thread {
	if item == nil {
		item = t.item
	}
	return &thread{execution: t.execution, scope: &scope{outer: t.scope, held: t.scope.held}, last: t.last, item: item}
}

// run runs the states of g from the first to the last. It returns an *Error
// when one fails, and errHalted when ctx ends.
func (t *thread) run(ctx context.Context, g *graph, input json.RawMessage) (json.RawMessage, error) {
	for name := g.startAt; name != ""; {
		if stop := t.execution.stopAtTransition(); stop != nil {
			t.execution.cancel(stop)
			return nil, errHalted
		}
		if t.execution.history.full() {
			return nil, &Error{ErrRuntime, fmt.Sprintf("The execution reached the maximum number of history events (%d).", maxEvents)}
		}
		v := &visit{thread: t, state: g.states[name], input: input, entered: t.execution.runner.clock.Now()}
		v.id = t.record(enteredEvent(v.state, input))
		t.open = v
		var err error
		if input, name, err = v.run(ctx); err != nil {
			return nil, err
		}
		t.open = nil
		if ctx.Err() != nil {
			return nil, errHalted
		}
	}
	return input, nil
}

// maxVariables is the limit for all variables of an execution together, in bytes.
// https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html#variable-limits
const maxVariables = 10 << 20

// scope holds variables. Outer ones can be read, never changed.
// https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
type scope struct {
	outer  *scope
	values map[string]json.RawMessage
	held   *atomic.Int64 // bytes in all scopes of the execution
}

// reserve makes room for the values, which set must then store. It returns
// false when the execution would hold too much.
func (s *scope) reserve(values map[string]json.RawMessage) bool {
	var growth int64
	for name, value := range values {
		growth += int64(len(value) - len(s.values[name]))
	}
	if s.held.Add(growth) > maxVariables {
		s.held.Add(-growth)
		return false
	}
	return true
}

// release gives back the room of a scope that has ended.
func (s *scope) release() {
	for _, value := range s.values {
		s.held.Add(-int64(len(value)))
	}
}

func (s *scope) set(values map[string]json.RawMessage) {
	if s.values == nil {
		s.values = map[string]json.RawMessage{}
	}
	for name, value := range values {
		s.values[name] = value
	}
}

// visible adds all that can be read to the map.
func (s *scope) visible(into map[string]json.RawMessage) {
	if s.outer != nil {
		s.outer.visible(into)
	}
	for name, value := range s.values {
		into[name] = value
	}
}

// errorOutput is what a Catch sees.
func errorOutput(failure *Error) json.RawMessage {
	return encode(struct{ Error, Cause string }{failure.Name, failure.Cause})
}
