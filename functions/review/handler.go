// Command review is called after each step of an execution: when the targets of a
// phase have been worked on, a time has come, or an approval has been answered. It
// reads how the phase ended, writes that down, and says what to do next.
package main

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/phases"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where an execution's plan and results lie, and where review writes how its
// phases ended; [runs.Bucket] is one.
type Store interface {
	List(ctx context.Context, prefix string) ([]string, error)
	Exists(ctx context.Context, key string) (bool, error)
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	GetJSON(ctx context.Context, key string, value any) error
	PutJSON(ctx context.Context, key string, value any) error
	PutJSONOnce(ctx context.Context, key string, value any) (done bool, err error)
}

// Reviewer reviews executions.
type Reviewer struct {
	store Store
	now   func() time.Time
}

// Handle says what to do next: see package phases for the rules. It may be called
// again: how a phase ended is written down once.
func (r Reviewer) Handle(ctx context.Context, in contract.ReviewInput) (contract.Next, error) {
	rollout, err := find(ctx, r.store, runs.Prefix(in.Name))
	if err != nil {
		return contract.Next{}, err
	}
	var ended *contract.EndedPhase
	if in.Last.Action == contract.ActionWork {
		if ended, err = rollout.end(ctx, in.Last, in.Error, r.now()); err != nil {
			return contract.Next{}, err
		}
	}
	next, err := rollout.next(ctx, in, r.now())
	if err != nil {
		return contract.Next{}, err
	}
	next.Ended = ended
	edge.Logger(ctx).Info("reviewed", "action", next.Action, "reason", next.Reason, "counts", next.Counts)
	return next, nil
}

// rollout is an execution as it lies in the run bucket.
type rollout struct {
	store  Store
	plan   contract.PlanOutput
	layout contract.Layout
	// ended are the phases that have ended, in order.
	ended []contract.EndedPhase
}

// find reads the plan of an execution, and how its phases before ended.
func find(ctx context.Context, store Store, prefix string) (*rollout, error) {
	r := rollout{store: store}
	if err := store.GetJSON(ctx, prefix+runs.Plan, &r.plan); err != nil {
		return nil, err
	}
	if err := store.GetJSON(ctx, prefix+runs.Layout, &r.layout); err != nil {
		return nil, err
	}
	keys, err := store.List(ctx, prefix+runs.Phases)
	if err != nil {
		return nil, err
	}
	for number := 1; slices.Contains(keys, prefix+runs.EndedPhase(number)); number++ {
		var ended contract.EndedPhase
		if err := store.GetJSON(ctx, prefix+runs.EndedPhase(number), &ended); err != nil {
			return nil, err
		}
		r.ended = append(r.ended, ended)
	}
	return &r, nil
}

// next decides what to do next, and writes the items of a phase that plan did not
// know.
func (r *rollout) next(ctx context.Context, in contract.ReviewInput, now time.Time) (contract.Next, error) {
	stopped, err := r.store.Exists(ctx, r.plan.Run.Prefix+runs.Stop)
	if err != nil {
		return contract.Next{}, err
	}
	state := phases.State{Plan: r.plan, Layout: r.layout, Ended: r.ended, Last: &in.Last, Approval: in.Approval, Stopped: stopped, Now: now}
	var touched [][]contract.TargetItem
	if phases.RollsBack(state) {
		if touched, err = r.touched(ctx); err != nil {
			return contract.Next{}, err
		}
		for _, items := range touched {
			state.Touched = append(state.Touched, len(items))
		}
	}
	next := phases.Decide(state)
	if next.Action != contract.ActionWork || next.Phase.Kind == contract.PhaseWave {
		return next, nil // plan has written the items of the waves
	}
	items, err := r.items(ctx, *next.Phase, touched, now)
	if err != nil {
		return contract.Next{}, err
	}
	next.Total = len(items)
	return next, r.store.PutJSON(ctx, next.ItemsKey, items)
}
