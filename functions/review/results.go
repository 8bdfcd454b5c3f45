package main

import (
	"context"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mapresults"
	"github.com/crossapply/crossapply/shared/runs"
)

// maxCause bounds the cause of a Map's error, in bytes: it crosses states, and becomes
// part of an event.
const maxCause = 400

// end writes down how a phase ended, unless that has been done.
func (r *rollout) end(ctx context.Context, last contract.Next, broke *contract.StateError, now time.Time) (*contract.EndedPhase, error) {
	if n := last.Phase.Number; n <= len(r.ended) {
		return &r.ended[n-1], nil
	}
	if broke != nil {
		broke = &contract.StateError{Error: broke.Error, Cause: fault.Shorten(broke.Cause, maxCause)}
	}
	outcomes, err := r.outcomes(ctx, last, broke, now)
	if err != nil {
		return nil, err
	}
	ended := contract.EndedPhase{Phase: *last.Phase, Total: len(outcomes), Counts: map[contract.Outcome]int{}, ResultsPrefix: last.ResultsPrefix, At: now.UTC(), Broke: broke}
	for _, outcome := range outcomes {
		ended.Counts[outcome]++
	}
	ended.Failed = contract.Total(ended.Counts, contract.Outcome.Failed)
	key := r.plan.Run.Prefix + runs.EndedPhase(last.Phase.Number)
	written, err := r.store.PutJSONOnce(ctx, key, ended)
	if err == nil && !written { // by another attempt of this call, which counts
		ended = contract.EndedPhase{}
		err = r.store.GetJSON(ctx, key, &ended)
	}
	if err != nil {
		return nil, err
	}
	r.ended = append(r.ended, ended)
	return &ended, nil
}

// outcomes says how each target of a phase ended.
func (r *rollout) outcomes(ctx context.Context, phase contract.Next, broke *contract.StateError, now time.Time) (map[contract.Target]contract.Outcome, error) {
	var items []contract.TargetItem
	if err := r.store.GetJSON(ctx, phase.ItemsKey, &items); err != nil {
		return nil, err
	}
	outcomes := make(map[contract.Target]contract.Outcome, len(items))
	for _, item := range items {
		outcomes[item.Target] = "" // nothing is known of it
	}
	astray := false
	written, lost, err := r.read(ctx, phase.ResultsPrefix, func(child mapresults.Child) {
		target, err := child.Target()
		before, listed := outcomes[target]
		if err != nil || !listed {
			astray = true
			return
		}
		result, err := child.Result(target, now)
		if err != nil || before != "" {
			result.Outcome = contract.OutcomeFailed // what cannot be believed has not succeeded
		}
		outcomes[target] = result.Outcome
	})
	if err != nil {
		return nil, err
	}
	failed, err := r.marked(ctx, phase.Phase.Number)
	if err != nil {
		return nil, err
	}
	for target, outcome := range outcomes {
		if outcome == "" {
			outcomes[target] = unmentioned(failed[target.String()], astray || len(lost) > 0, written, broke)
		}
	}
	return outcomes, nil
}

// read visits what the Map of a phase wrote.
func (r *rollout) read(ctx context.Context, prefix string, visit func(mapresults.Child)) (written bool, lost []string, err error) {
	keys, err := r.store.List(ctx, prefix+"/")
	if err != nil {
		return false, nil, err
	}
	return mapresults.Read(ctx, r.store, prefix, keys, visit)
}

// marked are the targets that left a mark that they failed, in their String form.
func (r *rollout) marked(ctx context.Context, phase int) (map[string]bool, error) {
	prefix := r.plan.Run.Prefix + runs.PhaseFailed(phase)
	keys, err := r.store.List(ctx, prefix)
	if err != nil {
		return nil, err
	}
	failed := make(map[string]bool, len(keys))
	for _, key := range keys {
		failed[key[len(prefix):]] = true
	}
	return failed, nil
}

// unmentioned says how a target ended that the results do not mention.
func unmentioned(marked, lost, written bool, broke *contract.StateError) contract.Outcome {
	switch {
	case marked, lost:
		return contract.OutcomeFailed
	case written, broke.NothingStarted():
		return contract.OutcomeNotStarted
	case broke != nil:
		return contract.OutcomeStopped
	}
	return contract.OutcomeFailed // the Map has ended well, and nothing says so
}
