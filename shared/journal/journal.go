// Package journal is what an execution writes down, per target, around a change:
// before it, what was there; after it, what it did. It lies in the run bucket.
// So whoever reads it knows whether a target was touched, also where the function
// that touched it died; and what was there can be brought back.
package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/runs"
)

// Entry is what is known of one target. Where there is none, nothing was sent to
// the target that could have changed it.
type Entry struct {
	// Before is the whole object as it was before the first attempt to change it,
	// and null where there was none.
	Before Object `json:"before"`
	// After is what the change did. It is missing while the change is under way, and
	// stays so where the function ended before it could write it.
	After *After `json:"after,omitempty"`
}

// Object is a Kubernetes object, whose whole numbers stay whole when it is read
// back: what is restored from it must be what was there.
type Object map[string]any

// UnmarshalJSON reads an object, or null.
func (o *Object) UnmarshalJSON(text []byte) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(text, (*map[string]any)(o))
}

// After is what a change did.
type After struct {
	contract.Applied
	// OwnedFields are the fields that our field manager owned after the change, as
	// managedFields has them.
	OwnedFields json.RawMessage `json:"ownedFields,omitempty"`
}

// Store is where the journal lies; [runs.Bucket] is one.
type Store interface {
	Reader
	PutJSON(ctx context.Context, key string, value any) error
	PutJSONOnce(ctx context.Context, key string, value any) (written bool, err error)
}

// Key returns where the entry of a target lies.
func Key(run contract.Run, target contract.Target) string {
	return run.Prefix + runs.Journal + target.String() + ".json"
}

// untouched are the changes of an attempt that left the target as it was.
var untouched = []contract.Change{contract.Unchanged, contract.ChangeNone}

// Begin notes what is there before a target is changed, unless an earlier attempt
// of the same execution has done so. It returns the entry that holds, and whether
// no attempt before this one can have changed the target. What an earlier attempt
// noted to have left as it was is taken back: this one may change it, and die
// before it can say so.
func Begin(ctx context.Context, store Store, run contract.Run, target contract.Target, before Object) (entry Entry, first bool, err error) {
	entry = Entry{Before: before}
	first, err = store.PutJSONOnce(ctx, Key(run, target), entry)
	if err == nil && !first {
		entry, err = Read(ctx, store, run, target)
		if err == nil && entry.After != nil && slices.Contains(untouched, entry.After.Change) {
			entry.After, first = nil, true
			err = store.PutJSON(ctx, Key(run, target), entry)
		}
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("%s: note what is there before the change: %w", target, err)
	}
	return entry, first, nil
}

// End notes what the change did.
func End(ctx context.Context, store Store, run contract.Run, target contract.Target, entry Entry) error {
	if err := store.PutJSON(ctx, Key(run, target), entry); err != nil {
		return fmt.Errorf("%s: note what the change did: %w", target, err)
	}
	return nil
}

// Reader is what reads the journal; [runs.Bucket] is one.
type Reader interface {
	GetJSON(ctx context.Context, key string, value any) error
}

// Read returns the entry of a target. Whether there is one is told by a list of
// the keys below [runs.Journal]: to a caller that may not list them, S3 says of an
// object that is not there that access is denied.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func Read(ctx context.Context, store Reader, run contract.Run, target contract.Target) (Entry, error) {
	var entry Entry
	err := store.GetJSON(ctx, Key(run, target), &entry)
	return entry, err
}
