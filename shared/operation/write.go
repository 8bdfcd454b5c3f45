package operation

import (
	"cmp"
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/proof"
)

// What apply, create and replace have in common.

const untilReady = "Ready"

var writeOutcomes = []contract.Outcome{contract.OutcomeReady, contract.OutcomeUnchanged, contract.OutcomeApplied,
	contract.OutcomeWouldCreate, contract.OutcomeWouldChange}

func waitsForReady(run contract.Run) bool { return !run.Apply.DryRun && run.Ready.Wait }

func writeOutcome(run contract.Run, applied contract.Applied, waited bool) contract.Outcome {
	switch {
	case applied.Change == contract.Unchanged:
		return contract.OutcomeUnchanged
	case run.Apply.DryRun && applied.Change == contract.Created:
		return contract.OutcomeWouldCreate
	case run.Apply.DryRun:
		return contract.OutcomeWouldChange
	case waited:
		return contract.OutcomeReady
	}
	return contract.OutcomeApplied
}

// maxConflicts is how often an action is repeated that conflicts with something
// other than a field's owner.
const maxConflicts = 5

// conflictPause is the pause before the first repeat; it grows with each.
const conflictPause = 100 * time.Millisecond

// repeated does an action again that meets a conflict which is not about the owner of
// a field: a race with another writer, or a quota that was being updated, goes away.
func repeated(ctx context.Context, a Action, once func(context.Context, Action) (Done, error)) (done Done, err error) {
	for attempt := 1; ; attempt++ {
		made := done.Applied.Change
		if done, err = once(ctx, a); err != nil {
			done.Applied.Change = cmp.Or(done.Applied.Change, made)
		}
		passing := apierrors.IsConflict(err) && len(conflicts(err)) == 0 || apierrors.IsAlreadyExists(err)
		if !passing || attempt == maxConflicts {
			return done, err
		}
		select {
		case <-ctx.Done():
			return done, err
		case <-time.After(time.Duration(attempt) * conflictPause):
		}
	}
}

// written says what a write made of the object that was there before.
func written(before, after *unstructured.Unstructured, manager string) (Done, error) {
	if before != nil && before.GetUID() != after.GetUID() {
		before = nil // another object of the same name: this one was created
	}
	changes, err := fields.Changes(before, after, manager)
	if err != nil {
		return Done{}, err
	}
	applied := contract.Applied{
		Change:          contract.Unchanged,
		UID:             string(after.GetUID()),
		ResourceVersion: after.GetResourceVersion(),
		Generation:      after.GetGeneration(),
		Fields:          changes,
		OwnedHash:       proof.OwnedHash(after, manager),
		StatusHash:      proof.StatusHash(after),
	}
	switch {
	case before == nil:
		applied.Change = contract.Created
	case changes != nil || before.GetGeneration() != after.GetGeneration():
		applied.Change, applied.GenerationBefore = contract.Configured, before.GetGeneration()
	default:
		applied.GenerationBefore = before.GetGeneration()
	}
	return Done{Applied: applied, Object: after, Owned: fields.Owned(after, manager)}, nil
}
