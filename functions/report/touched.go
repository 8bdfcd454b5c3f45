package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/operation"
)

// The journals of an execution: of what it did, and of what its rollback did.
var (
	forward  = contract.Phase{Kind: contract.PhaseWave}
	backward = contract.Phase{Kind: contract.PhaseRollback}
)

// journaled says that a target has an entry in a journal.
func (r rollout) journaled(in contract.Phase, target contract.Target) bool {
	for resource := range r.plan.Run.Resources {
		if r.keys.has(journal.Key(r.plan.Run, in, target, resource)) {
			return true
		}
	}
	return false
}

// touched completes a result by whether the target was touched. A child that
// succeeded says so itself. For any other the journal does: where it has no entry,
// nothing was sent that could have changed the target.
func (r rollout) touched(ctx context.Context, result contract.Result) contract.Result {
	if !r.journaled(forward, result.Target) {
		switch {
		case result.Outcome == contract.OutcomeNotStarted:
			result.Change = ""
		case result.Change == "":
			result.Change = contract.ChangeNone
		}
		return result
	}
	if result.Outcome == contract.OutcomeNotStarted {
		result.Outcome, result.Message = contract.OutcomeStopped, unfinished
	}
	if known(result.Change) && result.Change != contract.ChangeNone {
		return result
	}
	return together(result, r.resources(ctx, result))
}

// together makes of what became of a target's resources what became of it: the first
// change that is not unchanged.
func together(result contract.Result, resources []contract.ResourceResult) contract.Result {
	var all contract.ResourceResult
	for _, one := range resources {
		if one.Outcome != contract.OutcomeNotStarted && (all.Change == "" || all.Change == contract.Unchanged) {
			all = one
		}
	}
	result.Change, result.ChangeUnknown = all.Change, all.ChangeUnknown
	if len(resources) > 1 {
		result.Resources = resources
		return result
	}
	result.Fields, result.GenerationBefore, result.Generation = all.Fields, all.GenerationBefore, all.Generation
	return result
}

// resources says what became of each resource of a target that did not succeed, in the
// order in which they are worked on. Those before the one at which the target ended
// succeeded, and those behind it were not started.
func (r rollout) resources(ctx context.Context, result contract.Result) []contract.ResourceResult {
	run := r.plan.Run
	resources := make([]contract.ResourceResult, len(run.Resources))
	order := r.order()
	last := 0
	for step, resource := range order {
		resources[step] = contract.ResourceResult{Resource: run.Resources[resource], Outcome: contract.OutcomeNotStarted}
		if r.keys.has(journal.Key(run, forward, result.Target, resource)) {
			resources[step] = r.entry(ctx, result.Target, resource)
			last = step
		}
	}
	if passed(resources[last], result) && last+1 < len(resources) {
		last++
		resources[last].Change = contract.ChangeNone
	}
	resources[last].Outcome = result.Outcome
	return resources
}

// passed says that a target did not end at the last of its resources that was touched:
// that one was changed, and what ended the target is no verdict on it.
func passed(touched contract.ResourceResult, result contract.Result) bool {
	changed := known(touched.Change) && touched.Change != contract.ChangeNone
	return changed && result.Outcome.Failed() && !fault.Catalogue()[fault.Name(result.Error)].Verdict
}

// order returns the indexes of the resources in the order in which they are worked on.
func (r rollout) order() []int {
	order := make([]int, len(r.plan.Run.Resources))
	does, _ := operation.Of(r.plan.Run.Operation) // one that is not known goes forwards
	for step := range order {
		order[step] = operation.Order(does, len(order), step)
	}
	return order
}

// entry reads what became of a resource that was touched. The outcome is that of one
// which came to its end.
func (r rollout) entry(ctx context.Context, target contract.Target, resource int) contract.ResourceResult {
	run := r.plan.Run
	result := contract.ResourceResult{Resource: run.Resources[resource], Change: contract.ChangeUnknown}
	var entry journal.Entry
	err := r.store.GetJSON(ctx, journal.Key(run, forward, target, resource), &entry)
	did := contract.Applied{}
	if entry.After != nil {
		did = entry.After.Applied
	}
	if does, err := operation.Of(run.Operation); err == nil {
		result.Outcome = does.Outcome(run, did, does.Waits(run))
	}
	switch {
	case err != nil:
		result.ChangeUnknown = fault.Shorten(fmt.Sprintf("its journal entry cannot be read: %v", err), maxMessage)
	case entry.After == nil:
		result.GenerationBefore = generation(entry.Before)
		result.ChangeUnknown = "the function that was to change it ended before it noted what it did"
	case !known(did.Change):
		result.ChangeUnknown = fault.Shorten(fmt.Sprintf("its journal entry says that it is %q", did.Change), maxMessage)
	default:
		result.Change, result.Fields, result.Generation = did.Change, did.Fields, did.Generation
		result.GenerationBefore = cmp.Or(did.GenerationBefore, generation(entry.Before))
	}
	return result
}

func unknown(result contract.Result, reason string) contract.Result {
	result.Change, result.ChangeUnknown = contract.ChangeUnknown, reason
	return result
}

// known says whether a change tells what became of an object.
func known(change contract.Change) bool {
	return change != contract.ChangeUnknown && slices.Contains(contract.Changes(), change)
}

// generation returns an object's generation, and 0 where it has none.
func generation(object manifest.Object) int64 {
	metadata, _ := object["metadata"].(map[string]any)
	value, _ := metadata["generation"].(int64)
	return value
}
