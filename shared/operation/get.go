package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/jsonpath"
	"github.com/crossapply/crossapply/shared/proof"
)

// get reads an object.
func get() Operation {
	return Operation{
		Name:     Get,
		Does:     "Reads the resource: the report holds it, or the fields of it that get.fields names.",
		Reads:    true,
		ByName:   true,
		Verbs:    []string{"get"},
		Outcomes: []contract.Outcome{contract.OutcomeFound, contract.OutcomeNotFound},
		Act:      read,
		Waits:    never,
		Look:     proof.Judge.Look,
		Decide:   proof.Judge.Decide,
		Outcome: func(_ contract.Run, applied contract.Applied, _ bool) contract.Outcome {
			if applied.UID == "" {
				return contract.OutcomeNotFound
			}
			return contract.OutcomeFound
		},
	}
}

func never(contract.Run) bool { return false }

func read(ctx context.Context, a Action) (Done, error) {
	live, err := a.live(ctx)
	if err != nil {
		return Done{}, err
	}
	if live == nil {
		return Done{Applied: contract.Applied{Change: contract.ChangeNone}, Message: fmt.Sprintf("there is no %s in %s", a.Ref, a.Target.Cluster)}, nil
	}
	done := Done{
		Applied: contract.Applied{Change: contract.ChangeNone, UID: string(live.GetUID()), ResourceVersion: live.GetResourceVersion(), Generation: live.GetGeneration()},
		Message: fmt.Sprintf("%s is in %s since %s", a.Ref, a.Target.Cluster, live.GetCreationTimestamp().UTC().Format(time.RFC3339)),
	}
	live.SetManagedFields(nil)
	if a.Run.Get == nil || len(a.Run.Get.Fields) == 0 {
		done.Found = live
		return done, nil
	}
	done.Values, err = values(live, a.Run.Get.Fields)
	if err != nil {
		return Done{}, fault.Wrap(err, fault.InvalidRequest, "%s: get %s: %v", a.Target, a.Ref, err)
	}
	return done, nil
}

// maxValues bounds the values of one object, in bytes of JSON: they travel with the
// target's result.
const maxValues = 4 << 10

// values returns what the JSONPaths find in an object. A field that is not there is an
// empty list, as it is nothing to kubectl.
func values(object *unstructured.Unstructured, paths map[string]string) (map[string][]any, error) {
	found := map[string][]any{}
	for name, path := range paths {
		parsed, err := jsonpath.Parse(path)
		if err == nil {
			found[name], err = parsed.Find(object.Object)
		}
		if err != nil {
			return nil, fmt.Errorf("get.fields[%q]: %w", name, err)
		}
	}
	text, err := json.Marshal(found)
	if err != nil {
		return nil, fmt.Errorf("get.fields: %w", err)
	}
	if len(text) > maxValues {
		return nil, fmt.Errorf("get.fields: the values have %d bytes, and %d are the most: choose fewer, or leave get.fields out for the whole object", len(text), maxValues)
	}
	return found, nil
}
