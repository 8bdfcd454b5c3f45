package main

import (
	"context"
	"encoding/json"

	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
)

// found is an object that get found: its key, and where in the report it goes.
type found struct {
	key  string
	into *json.RawMessage
}

// inline puts the objects that get found into the report, in its order, as long as
// they fit in so many bytes: of the others it has the keys alone, and so of those that
// cannot be read.
func (r rollout) inline(ctx context.Context, results []contract.Result, room int) {
	all := foundIn(results)
	for len(all) > 0 {
		some := first(all, readsAtOnce)
		all = all[len(some):]
		for i, object := range r.objects(ctx, some) {
			if room -= len(object); room < 0 {
				return
			}
			*some[i].into = object
		}
	}
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
