package main

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/operation"
)

// attempt is what one invocation writes into the journal about a resource.
type attempt struct {
	store     Store
	key       string
	operation contract.Operation
	target    contract.Target

	entry journal.Entry
	// begun says that the entry is written, and first that no invocation before this
	// one can have changed anything.
	begun, first bool
}

// begin notes what is there. What this invocation repeats was refused, and changed
// nothing; but a rollback has several writes.
func (a *attempt) begin(ctx context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	entry := journal.Entry{Operation: a.operation}
	if live != nil {
		entry.Before = live.Object
	}
	var err error
	switch {
	case !a.begun:
		entry, a.first, err = journal.Begin(ctx, a.store, a.key, entry)
	case a.first && a.operation != operation.Rollback:
		err = journal.Again(ctx, a.store, a.key, entry)
	default:
		entry = a.entry
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.target, err)
	}
	a.begun, a.entry = true, entry
	return objectOf(entry.Before), nil
}

// end notes what was done, if anything was about to be.
func (a *attempt) end(ctx context.Context, done operation.Done) error {
	if !a.begun {
		return nil
	}
	after := journal.After{Applied: done.Applied, OwnedFields: done.Owned}
	if done.Object != nil && a.wrote(done) {
		left := done.Object.DeepCopy()
		delete(left.Object, "status")
		after.Object = left.Object
	}
	return a.note(ctx, after)
}

// wrote says that there is something of an object to bring back: values, or who owns
// them, where the values were what we set already.
func (a *attempt) wrote(done operation.Done) bool {
	switch done.Applied.Change {
	case contract.Created, contract.Configured:
		return true
	case contract.Unchanged:
		before := objectOf(a.entry.Before)
		return before != nil && !fields.SameOwnership(before, done.Object)
	}
	return false
}

func (a *attempt) note(ctx context.Context, after journal.After) error {
	a.entry.After = &after
	if err := journal.End(ctx, a.store, a.key, a.entry); err != nil {
		return fmt.Errorf("%s: %w", a.target, err)
	}
	return nil
}

// refusals are errors after which the cluster has certainly changed nothing.
var refusals = []fault.Name{fault.AlreadyExists, fault.ChangedSince, fault.Conflict, fault.Invalid, fault.Forbidden, fault.NotFound,
	fault.Unauthenticated, fault.WouldRemove}

// refused notes that nothing was changed, where that is certain, and returns the
// action's error. Where the note fails, whether the target was touched stays
// unknown: the action's error is the one that counts.
func (a *attempt) refused(ctx context.Context, done operation.Done, err error) error {
	if a.begun && a.first && done.Applied.Change == "" && slices.Contains(refusals, fault.NameOf(err)) {
		if failed := a.note(ctx, journal.After{Applied: contract.Applied{Change: contract.ChangeNone}}); failed != nil {
			edge.Logger(ctx).Warn("the journal's second note", "error", failed)
		}
	}
	return err
}

// findEarlier reads what a rollback takes back. It goes through the resources
// backwards, but those of a deletion, which went backwards itself, forwards: a
// namespace comes before what lies in it. A rollback that deleted is a deletion too.
func (w *work) findEarlier(ctx context.Context) error {
	last := len(w.in.Run.Resources) - 1
	if last > 0 {
		entry, err := w.earlierOf(ctx, last)
		if err != nil {
			return err
		}
		if entry != nil && (entry.Operation == operation.Delete || entry.After != nil && entry.After.Change == contract.Deleted) {
			w.index = w.in.Step
		}
	}
	entry, err := w.earlierOf(ctx, w.index)
	if err != nil {
		return err
	}
	if w.untouched = entry == nil || entry.Untouched() && entry.After.Object == nil; w.untouched {
		return nil
	}
	w.earlier = operation.Earlier{Operation: entry.Operation, Before: objectOf(entry.Before)}
	if entry.After != nil {
		w.earlier.Change, w.earlier.After = entry.After.Change, objectOf(entry.After.Object)
	}
	return nil
}

// earlierOf returns the entry that a rollback reads, nil where there is none.
func (w *work) earlierOf(ctx context.Context, index int) (*journal.Entry, error) {
	key := journal.EarlierKey(w.in.Run, w.in.Target, index)
	exists, err := w.store.Exists(ctx, key)
	if err != nil || !exists {
		return nil, err
	}
	entry, err := journal.Read(ctx, w.store, key)
	if err != nil {
		return nil, fmt.Errorf("%s: read what was changed: %w", w.in.Target, err)
	}
	return &entry, nil
}

func objectOf(object manifest.Object) *unstructured.Unstructured {
	if object == nil {
		return nil
	}
	return &unstructured.Unstructured{Object: object}
}
