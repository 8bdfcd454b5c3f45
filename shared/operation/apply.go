package operation

import (
	"context"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/readiness"
)

// Apply is the name of the server-side apply.
const Apply contract.Operation = "apply"

// apply is a server-side apply, and a wait until the resource is Ready.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/
func apply() Operation {
	return Operation{
		Name: Apply,
		Does: "Applies the resource server-side, and waits until it is Ready.",
		// A server-side apply is a patch, which the API server also authorizes as a
		// create where the object is new.
		Verbs:     []string{"get", "create", "patch"},
		WaitVerbs: []string{"list", "watch"},
		Outcomes:  []contract.Outcome{contract.OutcomeReady, contract.OutcomeUnchanged, contract.OutcomeApplied},
		Act:       applyOnce,
		Waits:     func(run contract.Run) bool { return !run.Apply.DryRun },
		Judge:     judgeReady,
		Outcome:   applyOutcome,
	}
}

// applyOnce applies an object and says what that changed. An apply that changes
// nothing leaves the object as it was, to the resourceVersion; so the object is
// read first. A call that is repeated because its answer was lost says unchanged
// too. A change by somebody else between the two calls is reported as configured.
func applyOnce(ctx context.Context, api Resource, object *unstructured.Unstructured, settings contract.ApplySettings) (contract.Applied, error) {
	before, err := api.Get(ctx, object.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return contract.Applied{}, err
	}
	options := metav1.ApplyOptions{FieldManager: settings.FieldManager, Force: settings.Force}
	if settings.DryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	after, err := api.Apply(ctx, object.GetName(), object, options)
	if err != nil {
		return contract.Applied{}, err
	}
	return contract.Applied{
		Change:          changeBetween(before, after),
		UID:             string(after.GetUID()),
		Generation:      after.GetGeneration(),
		ResourceVersion: after.GetResourceVersion(),
	}, nil
}

// changeBetween compares an object before an apply (nil or empty: there was
// none) and after. The whole object is compared, not the resourceVersion alone,
// because a dry run keeps that whatever else it would change.
func changeBetween(before, after *unstructured.Unstructured) contract.Change {
	switch {
	case before == nil || before.GetUID() == "" || before.GetUID() != after.GetUID():
		return contract.Created
	case !reflect.DeepEqual(before.Object, after.Object):
		return contract.Configured
	}
	return contract.Unchanged
}

// judgeReady waits for the very object that was applied. It fails with
// [fault.NotFound] when that is gone.
func judgeReady(object *unstructured.Unstructured, in contract.PollInput) (readiness.Verdict, error) {
	if object == nil || string(object.GetUID()) != in.Applied.UID {
		return readiness.Verdict{}, fault.New(fault.NotFound,
			"%s: %s is gone: it was deleted, or replaced by another object, after it was applied", in.Target, in.Run.Resource)
	}
	kind := schema.FromAPIVersionAndKind(in.Run.Resource.APIVersion, in.Run.Resource.Kind).GroupKind()
	rule, err := readiness.New(contract.ReadyExpressions{}, in.Run.Ready.Condition, kind)
	if err != nil {
		return readiness.Verdict{}, err
	}
	return rule.Judge(object, in.Applied.Generation, true)
}

func applyOutcome(applied contract.Applied, waited bool) contract.Outcome {
	switch {
	case applied.Change == contract.Unchanged:
		return contract.OutcomeUnchanged
	case waited:
		return contract.OutcomeReady
	}
	return contract.OutcomeApplied
}
