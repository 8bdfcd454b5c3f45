package asl

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// fork runs n lines of control, at most limit of them at once, and waits for
// all. When one fails the others are halted and none is started any more; the
// error is that of the first to fail.
func fork(ctx context.Context, n, limit int, run func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit <= 0 || limit > n {
		limit = n
	}
	var (
		group  sync.WaitGroup
		slots  = make(chan struct{}, max(limit, 1))
		mu     sync.Mutex
		failed error
	)
	for i := range n {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		group.Go(func() {
			defer func() { <-slots }()
			if err := run(ctx, i); err != nil {
				mu.Lock()
				defer mu.Unlock()
				if failed == nil || errors.Is(failed, errHalted) {
					failed = err
				}
				cancel()
			}
		})
	}
	group.Wait()
	if failed == nil && ctx.Err() != nil {
		return errHalted
	}
	return failed
}

// parallel makes one attempt of a Parallel state.
func (v *visit) parallel(ctx context.Context) (json.RawMessage, error) {
	input := v.input
	if v.state.arguments != nil {
		var err error
		if input, err = v.eval(ctx, "Arguments", v.state.arguments, values{}); err != nil {
			return nil, err
		}
	}
	v.thread.recordType(types.HistoryEventTypeParallelStateStarted)
	results := make([]json.RawMessage, len(v.state.branches))
	threads := make([]*thread, len(results))
	for i := range threads {
		threads[i] = v.thread.fork(nil)
	}
	err := fork(ctx, len(results), 0, func(ctx context.Context, i int) (err error) {
		defer threads[i].scope.release()
		results[i], err = threads[i].run(ctx, v.state.branches[i], input)
		return err
	})
	if err != nil {
		v.abortOpen(ctx, threads)
		return nil, err
	}
	v.join(threads)
	v.thread.recordType(types.HistoryEventTypeParallelStateSucceeded)
	return v.collect(results)
}

// abortOpen records the states that threads were in when their fork failed.
func (v *visit) abortOpen(ctx context.Context, threads []*thread) {
	if ctx.Err() != nil {
		return // the whole execution ends: AWS records only that
	}
	for _, t := range threads {
		if t.open == nil {
			continue
		}
		switch t.open.state.typ {
		case "Task", "Wait", "Map", "Parallel":
			t.recordType(stateEvent(t.open.state.typ, "Aborted"))
		}
	}
	v.join(threads)
}

// join makes the state's next event follow the latest of its threads.
func (v *visit) join(threads []*thread) {
	for _, t := range threads {
		v.thread.last = max(v.thread.last, t.last)
	}
}

// collect makes the result of a fork.
func (v *visit) collect(results []json.RawMessage) (json.RawMessage, error) {
	all := joinArray(results)
	if len(all) > MaxPayload {
		return nil, v.tooLarge()
	}
	return all, nil
}

// maxInline is how many iterations an inline Map runs at once where its
// MaxConcurrency is 0.
const maxInline = 40

// inlineMap makes one attempt of a Map in INLINE mode.
func (v *visit) inlineMap(ctx context.Context) (json.RawMessage, error) {
	items, err := v.items(ctx)
	if err != nil {
		return nil, err
	}
	limit, err := v.concurrency(ctx)
	if err != nil {
		return nil, err
	}
	if limit == 0 {
		limit = maxInline
	}
	// An inline Map may name its tolerance, which then must be right, but
	// its first failure fails it all the same.
	if _, _, err := v.tolerance(ctx); err != nil {
		return nil, err
	}
	v.thread.record(types.HistoryEvent{
		Type:                        types.HistoryEventTypeMapStateStarted,
		MapStateStartedEventDetails: &types.MapStateStartedEventDetails{Length: count(len(items))},
	})
	results := make([]json.RawMessage, len(items))
	threads := make([]*thread, len(items))
	for i := range items {
		threads[i] = v.thread.fork(&items[i])
	}
	err = fork(ctx, len(items), limit, func(inner context.Context, i int) (err error) {
		defer threads[i].scope.release()
		results[i], err = v.iterate(inner, threads[i], i)
		if errors.Is(err, errHalted) && ctx.Err() == nil { // by its siblings, not with the execution
			threads[i].record(types.HistoryEvent{
				Type: types.HistoryEventTypeMapIterationAborted, MapIterationAbortedEventDetails: v.iteration(i),
			})
		}
		return err
	})
	v.join(threads)
	if err != nil {
		return nil, err
	}
	v.thread.recordType(types.HistoryEventTypeMapStateSucceeded)
	return v.collect(results)
}

// iterate runs one iteration of an inline Map.
func (v *visit) iterate(ctx context.Context, t *thread, i int) (json.RawMessage, error) {
	details := v.iteration(i)
	t.record(types.HistoryEvent{Type: types.HistoryEventTypeMapIterationStarted, MapIterationStartedEventDetails: details})
	// ItemSelector belongs to the Map state, but its events to the iteration.
	selecting := *v
	selecting.thread = t
	input, err := selecting.selectItem(ctx, t.item)
	var output json.RawMessage
	if err == nil {
		output, err = t.run(ctx, v.state.processor, input)
	}
	var failure *Error
	switch {
	case err == nil:
		t.record(types.HistoryEvent{Type: types.HistoryEventTypeMapIterationSucceeded, MapIterationSucceededEventDetails: details})
	case errors.As(err, &failure):
		t.record(types.HistoryEvent{Type: types.HistoryEventTypeMapIterationFailed, MapIterationFailedEventDetails: details})
	}
	return output, err
}

// iteration is the details of an iteration's events.
func (v *visit) iteration(i int) *types.MapIterationEventDetails {
	return &types.MapIterationEventDetails{Name: aws.String(v.state.name), Index: count(i)}
}
