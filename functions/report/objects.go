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

func foundIn(results []contract.Result) []found {
	var all []found
	for i := range results {
		if result := &results[i]; result.ObjectKey != "" {
			all = append(all, found{result.ObjectKey, &result.Object})
		}
		for j := range results[i].Resources {
			if resource := &results[i].Resources[j]; resource.ObjectKey != "" {
				all = append(all, found{resource.ObjectKey, &resource.Object})
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
