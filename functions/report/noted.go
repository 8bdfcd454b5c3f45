package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/runs"
)

// Messages of targets that have none of their own.
const (
	notStarted  = "the rollout ended before this target's turn"
	neverSeen   = "nothing shows that this target was started"
	aborted     = "the rollout ended while this target was worked on"
	unfinished  = "this target was worked on, and nothing says yet how it ended"
	stillAtWork = "the target was stopped just before this report was made, and the function that changes it may still have been at work: report again in a minute"
	lostResults = "the rollout's results could not be written; how this target ended is unknown"
)

// unmentioned says how a target ended that the Map's results do not mention, by
// what it noted itself.
func (r rollout) unmentioned(ctx context.Context, target contract.Target) contract.Result {
	result := contract.Result{Target: target}
	switch {
	case r.keys[r.failedMark(target)]:
		r.readMark(ctx, &result)
	case len(r.children.lost) > 0:
		return unreadable(target, fmt.Errorf("it is not there, and %s", r.children.lost[0]))
	case r.children.written || r.nothingStarted():
		result.Outcome, result.Message = contract.OutcomeNotStarted, notStarted
	case r.broke != nil:
		result.Outcome, result.Message = contract.OutcomeStopped, lostResults
	default:
		// It may have got as far as to have its cluster looked up, which changes nothing.
		result.Outcome, result.Message = contract.OutcomeNotStarted, neverSeen
	}
	return result
}

// nothingStarted says that the Map failed before it had any target to start. Any
// other failure may have left targets behind that were worked on, even where the
// Map could not write their results.
func (r rollout) nothingStarted() bool {
	return r.broke != nil && r.broke.Error == "States.ItemReaderFailed"
}

func (r rollout) failedMark(target contract.Target) string {
	return r.plan.Run.Prefix + runs.Failed + target.String()
}

// readMark takes from the mark of a target that failed with which error it did.
func (r rollout) readMark(ctx context.Context, result *contract.Result) {
	var mark struct {
		Error string `json:"error"`
	}
	err := r.store.GetJSON(ctx, r.failedMark(result.Target), &mark)
	result.Outcome, result.Error = outcomeOf(mark.Error), mark.Error
	result.Message = "the target failed; what it said was not noted"
	if err != nil {
		result.Message = fault.Shorten(fmt.Sprintf("the target failed; why cannot be read: %v", err), maxMessage)
	}
}

// touched completes a result by whether the target was touched. A child that
// succeeded says so itself. For any other the journal does: where it has no entry,
// nothing was sent that could have changed the target.
func (r rollout) touched(ctx context.Context, result contract.Result) contract.Result {
	if !r.keys[journal.Key(r.plan.Run, result.Target)] {
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
	entry, err := journal.Read(ctx, r.store, r.plan.Run, result.Target)
	switch {
	case err != nil:
		return unknown(result, fault.Shorten(fmt.Sprintf("its journal entry cannot be read: %v", err), maxMessage))
	case entry.After == nil:
		result.GenerationBefore = generation(entry.Before)
		return unknown(result, "the function that was to change it ended before it noted what it did")
	case !known(entry.After.Change):
		return unknown(result, fault.Shorten(fmt.Sprintf("its journal entry says that it is %q", entry.After.Change), maxMessage))
	}
	result.Change, result.ChangeUnknown, result.Fields = entry.After.Change, "", entry.After.Fields
	result.GenerationBefore = cmp.Or(entry.After.GenerationBefore, generation(entry.Before))
	result.Generation = entry.After.Generation
	return result
}

func unknown(result contract.Result, reason string) contract.Result {
	result.Change, result.ChangeUnknown = contract.ChangeUnknown, reason
	return result
}

// known says whether a change tells what became of the target's object.
func known(change contract.Change) bool {
	return change != contract.ChangeUnknown && slices.Contains(contract.Changes(), change)
}

// generation returns an object's generation, and 0 where it has none.
func generation(object journal.Object) int64 {
	metadata, _ := object["metadata"].(map[string]any)
	value, _ := metadata["generation"].(int64)
	return value
}
