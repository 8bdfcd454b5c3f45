package asl

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// MapRun is one attempt of a distributed Map: a set of child executions.
// All methods are safe for concurrent use.
type MapRun struct {
	ARN                        string
	Execution                  *Execution // that the Map is a state of
	MachineARN                 string     // of the children: <machine>/<label>
	MaxConcurrency             int        // 0: as many as AWS runs at once, 10,000
	ToleratedFailureCount      int64
	ToleratedFailurePercentage float64
	StartDate                  time.Time

	id    string
	state *state

	mu             sync.Mutex
	items          []mapItem
	inputs         []json.RawMessage // by item; nil before it is made, and once its child has it
	children       []*Execution      // by item; nil where none was started
	status         types.MapRunStatus
	stopDate       time.Time
	resultsWritten int64
	failures       int64
}

const (
	maxDistributed  = 10_000
	mapRunAborted   = "The Map Run that started this execution was stopped or has failed."
	exceededMessage = "The specified tolerated failure threshold was exceeded"
)

// Status returns RUNNING, SUCCEEDED, FAILED or ABORTED and, of a run that has
// ended, when it did.
func (m *MapRun) Status() (types.MapRunStatus, time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status, m.stopDate
}

// Executions returns the children that were started, in the order of their items.
func (m *MapRun) Executions() []*Execution {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*Execution
	for _, child := range m.children {
		if child != nil {
			out = append(out, child)
		}
	}
	return out
}

// Label is the name of the Map in ARNs.
func (m *MapRun) Label() string { return m.state.distributed.label }

// Counts tells how many children are in which status.
func (m *MapRun) Counts() types.MapRunExecutionCounts {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := types.MapRunExecutionCounts{Total: int64(len(m.items)), ResultsWritten: m.resultsWritten}
	for _, child := range m.children {
		if child == nil {
			c.Pending++
			continue
		}
		switch child.Status() {
		case types.ExecutionStatusRunning:
			c.Running++
		case types.ExecutionStatusSucceeded:
			c.Succeeded++
		case types.ExecutionStatusFailed:
			c.Failed++
		case types.ExecutionStatusTimedOut:
			c.TimedOut++
		case types.ExecutionStatusAborted:
			c.Aborted++
		default: // nothing is redriven here
		}
	}
	return c
}

// distributedMap makes one attempt of a Map in DISTRIBUTED mode: a map run.
func (v *visit) distributedMap(ctx context.Context) (json.RawMessage, error) {
	run, at, limit, err := v.newMapRun(ctx)
	if err != nil {
		return nil, err
	}
	v.thread.record(types.HistoryEvent{
		Type:                        types.HistoryEventTypeMapStateStarted,
		MapStateStartedEventDetails: &types.MapStateStartedEventDetails{Length: count(len(run.items))},
	})
	if err := run.register(ctx); err != nil {
		return nil, err
	}
	v.thread.record(types.HistoryEvent{
		Type:                      types.HistoryEventTypeMapRunStarted,
		MapRunStartedEventDetails: &types.MapRunStartedEventDetails{MapRunArn: aws.String(run.ARN)},
	})
	result, err := run.run(ctx, v, at, limit)
	run.finish(v.thread, err)
	if err != nil {
		return nil, err
	}
	v.thread.recordType(types.HistoryEventTypeMapStateSucceeded)
	return result, nil
}

// places are where a map run reads and writes; nil where it does not.
type places struct{ reader, writer *bucketPlace }

// newMapRun evaluates all fields of the Map before anything starts.
func (v *visit) newMapRun(ctx context.Context) (run *MapRun, at places, maxItems int64, err error) {
	e, d := v.thread.execution, v.state.distributed
	run = &MapRun{Execution: e, state: v.state, id: e.runner.NewID(), status: types.MapRunStatusRunning}
	base, _, _ := strings.Cut(e.MachineARN, "/")
	run.MachineARN = base + "/" + d.label
	run.ARN = strings.Replace(run.MachineARN, ":stateMachine:", ":mapRun:", 1) + ":" + run.id
	if d.reader == nil {
		if run.items, err = v.items(ctx); err != nil {
			return nil, at, 0, err
		}
		from(run.items, "STATE_DATA")
	} else {
		place, err := v.place(ctx, "ItemReader/Arguments", d.reader.arguments, readerArguments())
		if err == nil {
			err = v.checkPartition(d.reader.resource)
		}
		if err != nil {
			return nil, at, 0, err
		}
		at.reader = &place
		if d.reader.maxItems != nil {
			if maxItems, err = v.evalInteger(ctx, "ItemReader/ReaderConfig/MaxItems", d.reader.maxItems, 1, 100_000_000); err != nil {
				return nil, at, 0, err
			}
		}
	}
	if d.writer != nil {
		place, err := v.place(ctx, "ResultWriter/Arguments", d.writer.arguments, writerArguments())
		if err == nil {
			err = v.checkPartition(d.writer.resource)
		}
		if err != nil {
			return nil, at, 0, err
		}
		at.writer = &place
	}
	return run, at, maxItems, v.evalLimits(ctx, run)
}

func (v *visit) evalLimits(ctx context.Context, run *MapRun) (err error) {
	if run.MaxConcurrency, err = v.concurrency(ctx); err != nil {
		return err
	}
	run.ToleratedFailureCount, run.ToleratedFailurePercentage, err = v.tolerance(ctx)
	return err
}

// tolerance evaluates how many items may fail; 0 where nothing is said.
func (v *visit) tolerance(ctx context.Context) (count int64, percentage float64, err error) {
	if t := v.state.toleratedCount; t != nil {
		if count, err = v.evalInteger(ctx, "ToleratedFailureCount", t, 0, 10_000_000); err != nil {
			return 0, 0, err
		}
	}
	if t := v.state.toleratedPercentage; t != nil {
		raw, err := v.evalKind(ctx, "ToleratedFailurePercentage", t, kindNumber)
		if err != nil {
			return 0, 0, err
		}
		if err := json.Unmarshal(raw, &percentage); err != nil || percentage < 0 || percentage > 100 {
			return 0, 0, v.evalError(&fieldError{"ToleratedFailurePercentage",
				"The value of the field 'ToleratedFailurePercentage' must be from 0 to 100, but was: " + string(raw)})
		}
	}
	return count, percentage, nil
}

// register makes the run known, and asks whether it may start.
func (m *MapRun) register(ctx context.Context) error {
	e := m.Execution
	m.StartDate = e.runner.clock.Now()
	if e.runner.children != nil {
		if err := e.runner.children.MapRunStarting(ctx, m); err != nil {
			if ctx.Err() != nil {
				return errHalted
			}
			return asError(err)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mapRuns = append(e.mapRuns, m)
	return nil
}

// run reads the items, runs the children and writes the results.
func (m *MapRun) run(ctx context.Context, v *visit, at places, maxItems int64) (json.RawMessage, error) {
	if at.reader != nil {
		items, err := m.state.distributed.reader.read(ctx, m.Execution, *at.reader, maxItems)
		if ctx.Err() != nil {
			return nil, errHalted
		}
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		m.items = items
		m.mu.Unlock()
	}
	m.mu.Lock()
	m.children, m.inputs = make([]*Execution, len(m.items)), make([]json.RawMessage, len(m.items))
	m.mu.Unlock()
	failure := m.runChildren(ctx, v)
	// A run that failed or was aborted writes its results too: the developer guide
	// says that PENDING_n.json holds the children "that weren't started because the
	// Map Run failed or aborted", and FAILED_n.json those that were aborted. It does
	// not say when AWS writes them after an abort; here they are there once the
	// execution has ended. An error in writing them then changes nothing.
	// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
	result, err := m.results(context.WithoutCancel(ctx), at.writer)
	switch {
	case failure != nil:
		return nil, failure
	case ctx.Err() != nil:
		return nil, errHalted
	}
	if err == nil && len(result) > MaxPayload {
		return nil, v.tooLarge()
	}
	return result, err
}

// runChildren runs a child for each item. The first failure beyond what is
// tolerated aborts those that run and keeps the rest from starting.
func (m *MapRun) runChildren(ctx context.Context, v *visit) error {
	limit := m.MaxConcurrency
	if limit == 0 || limit > maxDistributed {
		limit = maxDistributed
	}
	return fork(ctx, len(m.items), limit, func(ctx context.Context, i int) error {
		input, err := m.input(ctx, v, i)
		if err != nil {
			return err
		}
		child, release := m.start(ctx, i, input)
		<-child.Done()
		release()
		switch {
		case m.exceeded(child):
			return &Error{ErrToleranceExceeded, exceededMessage}
		case ctx.Err() != nil:
			return errHalted
		}
		return nil
	})
}

// input makes a child's input. The evaluation belongs to the parent's history.
func (m *MapRun) input(ctx context.Context, v *visit, i int) (json.RawMessage, error) {
	selecting := *v
	selecting.thread = v.thread.fork(nil)
	input, err := selecting.selectItem(ctx, &m.items[i])
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inputs[i] = input
	return input, err
}

// start starts a child. What it returns beside it is called once the child has ended.
func (m *MapRun) start(ctx context.Context, i int, input json.RawMessage) (child *Execution, release func() bool) {
	parent := m.Execution
	r := parent.runner
	// The end of the run stops its children, with a cause that says so.
	own, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	release = context.AfterFunc(ctx, func() { cancel(&stopped{Error{"", mapRunAborted}}) })
	child = r.newExecution(parent.machine, m.state.processor, m.MachineARN, parent.RoleARN, r.NewID(), input, cancel)
	child.MapRun = m
	m.mu.Lock()
	m.children[i], m.inputs[i] = child, nil
	m.mu.Unlock()
	if r.children != nil {
		r.children.ExecutionStarting(child)
	}
	child.launch(own)
	return child, release
}

// exceeded counts a child that has ended and says whether more children have
// failed than the run tolerates. A child that someone has stopped counts as
// failed; one that the run itself has stopped does not. Where both thresholds
// are given, a 0 counts as not given.
func (m *MapRun) exceeded(child *Execution) bool {
	end := child.End()
	byRun := end.Failure == Error{Cause: mapRunAborted}
	m.mu.Lock()
	defer m.mu.Unlock()
	if end.Status != types.ExecutionStatusSucceeded && !byRun {
		m.failures++
	}
	if m.failures == 0 {
		return false
	}
	count, percentage := m.ToleratedFailureCount, m.ToleratedFailurePercentage
	over := count > 0 && m.failures > count
	over = over || percentage > 0 && float64(m.failures)*100 > percentage*float64(len(m.items))
	return over || count == 0 && percentage == 0
}

// finish records how the run ended.
func (m *MapRun) finish(t *thread, err error) {
	status := types.MapRunStatusSucceeded
	var failure *Error
	switch {
	case err == nil:
		t.recordType(types.HistoryEventTypeMapRunSucceeded)
	case errors.As(err, &failure):
		status = types.MapRunStatusFailed
		t.record(types.HistoryEvent{
			Type:                     types.HistoryEventTypeMapRunFailed,
			MapRunFailedEventDetails: &types.MapRunFailedEventDetails{Error: text(failure.Name), Cause: text(failure.Cause)},
		})
	default:
		status = types.MapRunStatusAborted
		t.recordType(types.HistoryEventTypeMapRunAborted)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status, m.stopDate = status, m.Execution.runner.clock.Now()
}
