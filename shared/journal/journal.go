// Package journal is what an execution writes down, per target and resource, around a change:
// before it, what was there; after it, what it did. It lies in the run bucket.
// So whoever reads it knows whether a target was touched, also where the function
// that touched it died; and what was there can be brought back.
package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/runs"
)

// Entry is what is known of one resource of a target. Where there is none, nothing was
// sent to the target that could have changed it.
type Entry struct {
	// Operation is what was about to be done.
	Operation contract.Operation `json:"operation"`
	// Before is the whole object as it was before the first attempt to change it,
	// and null where there was none.
	Before manifest.Object `json:"before"`
	// After is what the change did. It is missing while the change is under way, and
	// stays so where the function ended before it could write it.
	After *After `json:"after,omitempty"`
}

// After is what a change did.
type After struct {
	contract.Applied
	// OwnedFields are the fields that our field manager owned after the change, as
	// managedFields has them.
	OwnedFields json.RawMessage `json:"ownedFields,omitempty"`
	// Object is what the change left, without its status: a rollback tells by it what
	// others have changed since. It is missing where nothing was changed, neither values
	// nor who owns them, and of what was deleted.
	Object manifest.Object `json:"object,omitempty"`
}

// Lister lists the keys of the journal; [runs.Bucket] is one.
type Lister interface {
	List(ctx context.Context, prefix string) ([]string, error)
}

// Touched returns the targets that have an entry in the journal of an execution, by the
// execution's prefix: those where a change was about to be made. They are in their
// String form.
func Touched(ctx context.Context, store Lister, prefix string) (map[string]bool, error) {
	prefix += runs.Journal
	keys, err := store.List(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("find out which targets were touched: %w", err)
	}
	touched := map[string]bool{}
	for _, key := range keys {
		// Below the target there is an entry for each resource.
		touched[path.Dir(strings.TrimPrefix(key, prefix))] = true
	}
	return touched, nil
}

// untouched are the changes of an attempt that left the target as it was.
var untouched = []contract.Change{contract.Unchanged, contract.ChangeNone}

// Untouched says that the attempt left the target as it was, for certain.
func (e Entry) Untouched() bool {
	return e.After != nil && slices.Contains(untouched, e.After.Change)
}

// Store is where the journal lies; [runs.Bucket] is one.
type Store interface {
	Reader
	PutJSON(ctx context.Context, key string, value any) error
	PutJSONOnce(ctx context.Context, key string, value any) (written bool, err error)
}

// Key returns where the entry of a target's resource lies, by the resource's index in
// the request. A rollback has entries of its own: it reads those of what it takes back.
func Key(run contract.Run, phase contract.Phase, target contract.Target, resource int) string {
	prefix := run.Prefix + runs.Journal
	if phase.Kind == contract.PhaseRollback {
		prefix += "rollback/"
	}
	return entryKey(prefix, target, resource)
}

// EarlierKey returns where the entry lies that a rollback reads: in the journal of the
// execution that the run names, by default its own.
func EarlierKey(run contract.Run, target contract.Target, resource int) string {
	return entryKey(cmp.Or(run.Journal, run.Prefix)+runs.Journal, target, resource)
}

func entryKey(prefix string, target contract.Target, resource int) string {
	return prefix + target.String() + "/" + strconv.Itoa(resource) + ".json"
}

// Begin notes what is there before a target is changed, unless an earlier attempt
// of the same execution has done so. It returns the entry that holds, and whether
// no attempt before this one can have changed the target. The note of an attempt that
// left everything as it was is written anew: this one may change it, and die before it
// can say so; and what is there may be somebody else's change since.
func Begin(ctx context.Context, store Store, key string, entry Entry) (holds Entry, first bool, err error) {
	first, err = store.PutJSONOnce(ctx, key, entry)
	if err == nil && !first {
		holds, err = Read(ctx, store, key)
		if err != nil || !holds.Untouched() {
			return holds, false, beginning(err)
		}
		if holds.After.Object != nil { // whose owners it has changed
			entry.Before = holds.Before
		}
		err = store.PutJSON(ctx, key, entry)
	}
	return entry, err == nil, beginning(err)
}

// Again notes what is there before an attempt is made again, by the same invocation, that
// was refused.
func Again(ctx context.Context, store Store, key string, entry Entry) error {
	return beginning(store.PutJSON(ctx, key, entry))
}

func beginning(err error) error {
	if err != nil {
		return fmt.Errorf("note what is there before the change: %w", err)
	}
	return nil
}

// End notes what the change did.
func End(ctx context.Context, store Store, key string, entry Entry) error {
	if err := store.PutJSON(ctx, key, entry); err != nil {
		return fmt.Errorf("note what the change did: %w", err)
	}
	return nil
}

// Reader is what reads the journal; [runs.Bucket] is one.
type Reader interface {
	GetJSON(ctx context.Context, key string, value any) error
}

// Read returns the entry at a key. Whether there is one is told by a list of
// the keys below [runs.Journal]: to a caller that may not list them, S3 says of an
// object that is not there that access is denied.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func Read(ctx context.Context, store Reader, key string) (Entry, error) {
	var entry Entry
	err := store.GetJSON(ctx, key, &entry)
	return entry, err
}
