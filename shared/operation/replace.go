package operation

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/proof"
)

// replace replaces an object that is there, and waits until it is Ready.
func replace() Operation {
	return Operation{
		Name:      Replace,
		Does:      "Replaces the resource, which must be there, as a whole, and waits until it is Ready.",
		Verbs:     []string{"get", "update"},
		WaitVerbs: []string{"watch"},
		Outcomes:  []contract.Outcome{contract.OutcomeReady, contract.OutcomeUnchanged, contract.OutcomeApplied, contract.OutcomeWouldChange},
		Until:     untilReady,
		Act: func(ctx context.Context, a Action) (Done, error) {
			return repeated(ctx, a, replaceOnce)
		},
		Waits:   waitsForReady,
		Look:    proof.Judge.Look,
		Decide:  proof.Judge.Decide,
		Outcome: writeOutcome,
	}
}

// replaceOnce replaces an object in the version in which it is, which must be the one
// that the request gives, if it gives one.
func replaceOnce(ctx context.Context, a Action) (Done, error) {
	live, err := a.Resource.Get(ctx, a.Ref.Name, metav1.GetOptions{})
	if err != nil {
		return Done{}, err
	}
	before, err := a.note(ctx, live)
	if err != nil {
		return Done{}, err
	}
	locked := a.Object.GetResourceVersion()
	if locked != "" && locked != live.GetResourceVersion() {
		return a.replaced(ctx, before, live)
	}
	after, err := a.put(ctx, live, a.dryRun())
	if err != nil {
		return Done{}, err
	}
	return written(before, after, a.Run.Apply.FieldManager)
}

// put replaces live by the object, which must not have changed since it was read. What
// a manifest does not hold, and controllers rely on, is kept: finalizers, owners, and
// the status of a kind without a status subresource; where there is one, the API server
// itself keeps the status.
func (a Action) put(ctx context.Context, live *unstructured.Unstructured, dryRun []string) (*unstructured.Unstructured, error) {
	object := a.Object.DeepCopy()
	object.SetResourceVersion(live.GetResourceVersion())
	object.SetFinalizers(live.GetFinalizers())
	object.SetOwnerReferences(live.GetOwnerReferences())
	if status, ok := live.Object["status"]; ok {
		object.Object["status"] = status
	}
	return a.Resource.Update(ctx, object, metav1.UpdateOptions{FieldManager: a.Run.Apply.FieldManager, FieldValidation: metav1.FieldValidationStrict, DryRun: dryRun})
}

// replaced is for an object that is not in the version which the request gives: either
// an attempt whose answer was lost has replaced it, which then would change nothing, or
// somebody else has changed it.
func (a Action) replaced(ctx context.Context, before, live *unstructured.Unstructured) (Done, error) {
	if before != nil && before.GetResourceVersion() == a.Object.GetResourceVersion() {
		again, err := a.put(ctx, live, []string{metav1.DryRunAll})
		if err != nil {
			return Done{}, err
		}
		if fields.Same(live, again) {
			return written(before, live, a.Run.Apply.FieldManager)
		}
	}
	return Done{}, fault.New(fault.Conflict, "%s: replace %s: it has the resourceVersion %s, and the request gives %s: somebody else has changed it",
		a.Target, a.Ref, live.GetResourceVersion(), a.Object.GetResourceVersion())
}
