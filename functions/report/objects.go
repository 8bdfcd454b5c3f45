package main

import (
	"context"
	"encoding/json"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
)

// found is an object that get found: its key, and where in the report it goes.
type found struct {
	key  string
	into *json.RawMessage
}

// withObjects are the results with the objects that get found, in order, as long as
// those fit in so many bytes: of the others they have the keys alone, and so of those
// that cannot be read. The objects of a few targets are held at a time.
func (r rollout) withObjects(ctx context.Context, results []contract.Result, room int) iter.Seq[any] {
	return func(yield func(any) bool) {
		left := room
		for some := range slices.Chunk(results, readsAtOnce) {
			some = slices.Clone(some)
			for i := range some {
				some[i].Resources = slices.Clone(some[i].Resources)
			}
			left = r.inline(ctx, some, left)
			for _, result := range some {
				if !yield(result) {
					return
				}
			}
		}
	}
}

// inline puts objects into results, and returns how much room they leave: less than
// none where the next one did not fit.
func (r rollout) inline(ctx context.Context, results []contract.Result, room int) int {
	all := foundIn(results)
	for len(all) > 0 && room >= 0 {
		some := first(all, readsAtOnce)
		all = all[len(some):]
		for i, object := range r.objects(ctx, some) {
			if room -= len(object); room < 0 {
				return room
			}
			*some[i].into = object
		}
	}
	return room
}

// foundIn returns the objects of results, by their keys; of several resources those of
// each.
func foundIn(results []contract.Result) []found {
	var all []found
	for i := range results {
		result := &results[i]
		if result.ObjectKey != "" && len(result.Resources) == 0 {
			all = append(all, found{result.ObjectKey, &result.Object})
		}
		for j := range result.Resources {
			if one := &result.Resources[j]; one.ObjectKey != "" {
				all = append(all, found{one.ObjectKey, &one.Object})
			}
		}
	}
	return all
}

// objects reads some objects.
func (r rollout) objects(ctx context.Context, some []found) []json.RawMessage {
	objects := make([]json.RawMessage, len(some))
	var reads errgroup.Group
	for i, one := range some {
		reads.Go(func() error {
			if r.store.GetJSON(ctx, one.key, &objects[i]) != nil {
				objects[i] = nil
			}
			return nil
		})
	}
	_ = reads.Wait() // what cannot be read stays where it is
	return objects
}
