package main

import (
	"context"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/mapresults"
)

// items are those of a check or of a rollback.
func (r *rollout) items(ctx context.Context, phase contract.Phase, touched [][]contract.TargetItem, now time.Time) ([]contract.TargetItem, error) {
	if phase.Kind == contract.PhaseRollback {
		return touched[phase.Wave-1], nil
	}
	return r.succeeded(ctx, phase.Wave, now)
}

// touched are the targets of each wave that have an entry in the journal.
func (r *rollout) touched(ctx context.Context) ([][]contract.TargetItem, error) {
	journaled, err := journal.Touched(ctx, r.store, r.plan.Run.Prefix)
	if err != nil {
		return nil, err
	}
	waves := make([][]contract.TargetItem, len(r.layout.Waves))
	for _, target := range r.layout.Targets {
		if journaled[target.String()] {
			waves[target.Wave-1] = append(waves[target.Wave-1], contract.TargetItem{Target: target.Target, Overrides: target.Overrides})
		}
	}
	return waves, nil
}

// succeeded are the targets of a wave that succeeded, with how their resources were
// then.
func (r *rollout) succeeded(ctx context.Context, wave int, now time.Time) ([]contract.TargetItem, error) {
	stood := map[contract.Target][]contract.Stood{}
	for _, ended := range r.ended {
		if ended.Kind != contract.PhaseWave || ended.Wave != wave {
			continue
		}
		_, _, err := r.read(ctx, ended.ResultsPrefix, func(child mapresults.Child) {
			target, err := child.Target()
			if err != nil {
				return
			}
			if result, err := child.Result(target, now); err == nil && result.Outcome.Succeeded() {
				stood[target] = result.Stood
			}
		})
		if err != nil {
			return nil, err
		}
	}
	items := []contract.TargetItem{}
	for _, target := range r.layout.Targets {
		if was, ok := stood[target.Target]; ok && target.Wave == wave {
			items = append(items, contract.TargetItem{Target: target.Target, Overrides: target.Overrides, Stood: was})
		}
	}
	return items, nil
}
