package main

import (
	"context"
	"encoding/json"

	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
)

// maxObjects bounds the objects in the report, in bytes: a function's memory must hold
// them.
const maxObjects = 50 << 20

// inline puts the objects that get found into the report, in its order, as long as
// they fit: of the others it has the keys alone, and so of those that cannot be read.
func (r rollout) inline(ctx context.Context, results []contract.Result) {
	var found []*contract.Result
	for i := range results {
		if results[i].ObjectKey != "" {
			found = append(found, &results[i])
		}
	}
	for room := maxObjects; len(found) > 0 && room >= 0; {
		some := first(found, readsAtOnce)
		found = found[len(some):]
		for i, object := range r.objects(ctx, some) {
			if room -= len(object); room < 0 {
				return
			}
			some[i].Object = object
		}
	}
}

// objects reads the objects of some results.
func (r rollout) objects(ctx context.Context, results []*contract.Result) []json.RawMessage {
	objects := make([]json.RawMessage, len(results))
	var reads errgroup.Group
	for i, result := range results {
		reads.Go(func() error {
			if r.store.GetJSON(ctx, result.ObjectKey, &objects[i]) != nil {
				objects[i] = nil
			}
			return nil
		})
	}
	_ = reads.Wait() // what cannot be read stays where it is
	return objects
}
