package operation

import (
	"cmp"
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/proof"
)

// rollback brings back what was there before a change.
func rollback() Operation {
	return Operation{
		Name:      Rollback,
		Does:      "Brings back what was there before an execution changed it, values and ownership.",
		Internal:  true,
		ByName:    true,
		Backwards: true,
		Verbs:     []string{"get", "create", "update", "delete"},
		WaitVerbs: []string{"watch"},
		Outcomes:  []contract.Outcome{contract.OutcomeRolledBack, contract.OutcomeUnchanged},
		Until:     untilGone,
		Act: func(ctx context.Context, a Action) (Done, error) {
			return repeated(ctx, a, rollBackOnce)
		},
		// For the end of what was created; the rest is as it was at once.
		Waits:   func(contract.Run) bool { return true },
		Look:    lookForBefore,
		Decide:  atOnce,
		Outcome: func(contract.Run, contract.Applied, bool) contract.Outcome { return contract.OutcomeRolledBack },
	}
}

func lookForBefore(judge proof.Judge, before contract.Seen, object *unstructured.Unstructured, now time.Time) (contract.Seen, error) {
	if judge.Applied.Change == contract.Deleted {
		return lookForGone(judge, before, object, now)
	}
	return contract.Seen{State: string(health.Ready), Since: now, ResourceVersion: judge.Applied.ResourceVersion,
		Message: fmt.Sprintf("%s is as it was before", judge.Resource)}, nil
}

// rollBackOnce takes the earlier change back. The object as it is before its first
// attempt says what others have changed, and is noted: so a second attempt can tell
// what the first one did from what others do.
func rollBackOnce(ctx context.Context, a Action) (Done, error) {
	live, err := a.live(ctx)
	if err != nil {
		return Done{}, err
	}
	first, err := a.Note(ctx, live)
	if err != nil {
		return Done{}, err
	}
	before := a.Earlier.Before
	switch {
	case before == nil:
		return a.takeAway(ctx, first, live)
	case first != nil && first.GetDeletionTimestamp() == nil && fields.Equal(first, before):
		return nothingToDo(live) // an earlier rollback has brought it back, or it was never changed
	case a.Earlier.deletes():
		return a.createAnew(ctx, first, live)
	case live == nil:
		return Done{}, a.changedSince("it was deleted")
	case live.GetUID() != before.GetUID():
		return Done{}, a.changedSince("another object has taken its place")
	case live.GetDeletionTimestamp() != nil && before.GetDeletionTimestamp() == nil:
		return Done{}, a.changedSince("it is being deleted")
	}
	return a.restore(ctx, first, live)
}

// deletes says that the change was a deletion, as far as is known.
func (e Earlier) deletes() bool {
	return e.Change == contract.Deleted || e.Change == "" && e.Operation == Delete
}

func (a Action) changedSince(what string) error {
	return fault.New(fault.ChangedSince, "%s: bring back %s: somebody else has changed it since: %s", a.Target, a.Ref, what)
}

// nothingToDo is for an object that is as it was.
func nothingToDo(live *unstructured.Unstructured) (Done, error) {
	done := Done{Applied: contract.Applied{Change: contract.Unchanged}, Object: live}
	if live != nil {
		done.Applied.UID, done.Applied.ResourceVersion = string(live.GetUID()), live.GetResourceVersion()
		done.Applied.Generation, done.Applied.GenerationBefore = live.GetGeneration(), live.GetGeneration()
	}
	return done, nil
}

// takeAway deletes what was created, where others have changed nothing of it, in the
// version in which it was found so. What they have added goes with it.
func (a Action) takeAway(ctx context.Context, first, live *unstructured.Unstructured) (Done, error) {
	e, manager := a.Earlier, a.Run.Apply.FieldManager
	switch {
	case live == nil && first != nil:
		return deleted(first, nil, a.Ref), nil // by an attempt whose answer was lost
	case live == nil, e.deletes(), first == nil, live.GetUID() != first.GetUID():
		return nothingToDo(live) // it is gone; what is there is another
	}
	var err error
	switch {
	case e.After == nil && fields.Owned(live, manager) == nil:
		return nothingToDo(live) // it was never created: this is somebody else's
	case e.After == nil:
		err = a.refuse(fields.ChangedBesides(nil, live, manager))
	case live.GetUID() != e.After.GetUID():
		return nothingToDo(live)
	default:
		err = a.refuseToTakeAway(live)
	}
	if err != nil {
		return Done{}, err
	}
	uid, version := live.GetUID(), live.GetResourceVersion()
	return a.delete(ctx, live, metav1.Preconditions{UID: &uid, ResourceVersion: &version}, "")
}

// refuseToTakeAway makes an error of what others have changed of an object that was
// created, or had created before the change met it: an apply that finds no object may
// meet one that somebody else has just made.
func (a Action) refuseToTakeAway(live *unstructured.Unstructured) error {
	after := a.Earlier.After
	return cmp.Or(
		a.refuse(fields.ChangedBesides(nil, after, a.Run.Apply.FieldManager)),
		a.refuse(fields.Since(after, live, false)),
		a.refuse(fields.Claimed(after, live, nil)))
}

// refuse makes an error of what others have changed, where they have.
func (a Action) refuse(changed string, err error) error {
	if err == nil && changed != "" {
		return a.changedSince(changed)
	}
	return err
}

// createAnew creates what was deleted.
func (a Action) createAnew(ctx context.Context, first, live *unstructured.Unstructured) (Done, error) {
	before := a.Earlier.Before
	object, entries := fields.Recreated(before)
	switch {
	case live == nil:
		created, err := a.Resource.Create(ctx, object, metav1.CreateOptions{FieldManager: a.Run.Apply.FieldManager})
		if err != nil {
			return Done{}, err
		}
		live = created
	case live.GetUID() == before.GetUID() && live.GetDeletionTimestamp() == nil:
		return nothingToDo(live) // it was not deleted after all
	case live.GetUID() == before.GetUID():
		return Done{}, fault.New(fault.AlreadyExists, "%s: bring back %s: %s", a.Target, a.Ref, stateOf(live, live.GetUID(), a.Ref).Message)
	case !fields.Same(live, before):
		return Done{}, a.changedSince("there is another object of that name")
	case first != nil:
		return nothingToDo(live) // an earlier rollback has brought it back, or somebody has by hand
	}
	wanted := live.DeepCopy()
	fields.SetOwnership(wanted, entries)
	after, err := a.own(ctx, live, wanted)
	if err != nil {
		return Done{Applied: contract.Applied{Change: contract.Created}}, err
	}
	return written(nil, after, a.Run.Apply.FieldManager)
}

// restore brings the values back, then the ownership, in the version of the object
// that was read.
func (a Action) restore(ctx context.Context, first, live *unstructured.Unstructured) (Done, error) {
	left, err := a.left(first)
	switch {
	case err != nil:
		return Done{}, err
	case left == nil:
		return nothingToDo(live)
	}
	wanted, err := fields.Restored(a.Earlier.Before, left, first, live)
	if err != nil {
		return Done{}, err
	}
	if err := a.refuse(fields.Claimed(left, first, wanted)); err != nil {
		return Done{}, err
	}
	current, changed := live, contract.Change("")
	if !fields.Same(live, wanted) {
		// Between this attempt and one before.
		if err := a.refuse(fields.Since(first, live, true)); err != nil {
			return Done{}, err
		}
		if current, err = a.update(ctx, wanted); err != nil {
			return Done{}, err
		}
		changed = contract.Configured
	}
	if current, err = a.own(ctx, current, wanted); err != nil {
		return Done{Applied: contract.Applied{Change: changed}}, err
	}
	return written(first, current, a.Run.Apply.FieldManager)
}

// left returns the object as the change left it, where nobody else has changed it
// since. Where the function died that made the change, that is what was found first; and
// so it is where the values are back already, by a rollback that died before it gave back
// the ownership. It is nil where somebody else has brought them back, who then owns them.
func (a Action) left(first *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	before, after := a.Earlier.Before, a.Earlier.After
	back := after != nil && fields.Same(first, before) && !fields.Same(after, before)
	if after != nil && !back {
		return after, a.refuse(fields.Since(after, first, true))
	}
	changed, err := fields.ChangedBesides(before, first, a.Run.Apply.FieldManager)
	if back && changed != "" {
		return nil, err
	}
	return first, a.refuse(changed, err)
}

// own gives an object the owners that are wanted. It takes a write of its own: an API
// server notes every value that a write changes as the writer's, whatever the
// managedFields in it say, and takes them as they are where no value changes.
func (a Action) own(ctx context.Context, current, wanted *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if fields.SameOwnership(current, wanted) {
		return current, nil
	}
	object := current.DeepCopy()
	object.SetManagedFields(wanted.GetManagedFields())
	return a.update(ctx, object)
}

func (a Action) update(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return a.Resource.Update(ctx, object, metav1.UpdateOptions{FieldManager: a.Run.Apply.FieldManager})
}
