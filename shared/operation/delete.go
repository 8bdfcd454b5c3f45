package operation

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/proof"
)

// remove is the operation delete: it deletes an object, and waits until it is gone.
func remove() Operation {
	return Operation{
		Name:      Delete,
		Does:      "Deletes the resource, and waits until it is gone.",
		ByName:    true,
		Backwards: true,
		Verbs:     []string{"get", "delete"},
		WaitVerbs: []string{"watch"},
		Outcomes:  []contract.Outcome{contract.OutcomeDeleted, contract.OutcomeUnchanged},
		Until:     untilGone,
		Act:       deleteOnce,
		Waits:     func(run contract.Run) bool { return run.Ready.Wait },
		Look:      lookForGone,
		Decide:    atOnce,
		Outcome: func(_ contract.Run, applied contract.Applied, _ bool) contract.Outcome {
			if applied.Change == contract.Unchanged {
				return contract.OutcomeUnchanged
			}
			return contract.OutcomeDeleted
		},
	}
}

const untilGone = "gone"

// deleteOnce deletes the object that was there before the first attempt, and no other
// of the same name.
func deleteOnce(ctx context.Context, a Action) (Done, error) {
	options := contract.DeleteOptions{}
	if a.Run.Delete != nil {
		options = *a.Run.Delete
	}
	live, err := a.live(ctx)
	if err != nil {
		return Done{}, err
	}
	if live != nil && options.UID != "" && string(live.GetUID()) != options.UID {
		return Done{}, fault.New(fault.Conflict, "%s: delete %s: its uid is %s, and the request gives %s: it is another object, and left alone",
			a.Target, a.Ref, live.GetUID(), options.UID)
	}
	before, err := a.Note(ctx, live)
	switch {
	case err != nil:
		return Done{}, err
	case before == nil && options.Absent == contract.AbsentFail:
		return Done{}, fault.New(fault.NotFound, "%s: delete %s: there is none, and delete.absent is fail", a.Target, a.Ref)
	case before == nil:
		return Done{Applied: contract.Applied{Change: contract.Unchanged}, Message: fmt.Sprintf("there is no %s", a.Ref)}, nil
	case live == nil || live.GetUID() != before.GetUID():
		return deleted(before, nil, a.Ref), nil // by an attempt whose answer was lost
	}
	uid := live.GetUID()
	return a.delete(ctx, live, metav1.Preconditions{UID: &uid}, options.Propagation)
}

// delete deletes an object, which must be as the preconditions say, and takes a look at
// what is left of it.
func (a Action) delete(ctx context.Context, live *unstructured.Unstructured, preconditions metav1.Preconditions, propagation contract.Propagation) (Done, error) {
	policy := metav1.DeletionPropagation(cmp.Or(string(propagation), string(metav1.DeletePropagationBackground)))
	err := a.Resource.Delete(ctx, a.Ref.Name, metav1.DeleteOptions{Preconditions: &preconditions, PropagationPolicy: &policy})
	if err != nil && !apierrors.IsNotFound(err) {
		return Done{}, err
	}
	left, err := a.live(ctx)
	if err != nil {
		return Done{Applied: contract.Applied{Change: contract.Deleted}}, err
	}
	return deleted(live, left, a.Ref), nil
}

// deleted is what became of an object that was deleted, of which something may be left.
func deleted(before, left *unstructured.Unstructured, ref contract.ResourceRef) Done {
	return Done{
		Applied: contract.Applied{Change: contract.Deleted, UID: string(before.GetUID()), ResourceVersion: before.GetResourceVersion(), GenerationBefore: before.GetGeneration()},
		Object:  left,
		Message: stateOf(left, before.GetUID(), ref).Message,
	}
}

// stateOf says whether an object of a uid is gone. It is Ready when it is.
func stateOf(object *unstructured.Unstructured, uid types.UID, ref contract.ResourceRef) contract.Seen {
	if object == nil || object.GetUID() != uid {
		return contract.Seen{State: string(health.Ready), Message: fmt.Sprintf("%s is gone", ref)}
	}
	seen := contract.Seen{State: string(health.Progressing), ResourceVersion: object.GetResourceVersion(), Message: fmt.Sprintf("%s is being deleted", ref)}
	if finalizers := object.GetFinalizers(); len(finalizers) > 0 {
		seen.Message += ", which waits for the finalizers " + fault.Shorten(strings.Join(finalizers, ", "), fault.MaxRepeated)
	}
	return seen
}

// lookForGone judges an object that was deleted.
func lookForGone(judge proof.Judge, before contract.Seen, object *unstructured.Unstructured, now time.Time) (contract.Seen, error) {
	seen := stateOf(object, types.UID(judge.Applied.UID), judge.Resource)
	if seen.Since = now; seen.State == before.State {
		seen.Since = before.Since
	}
	return seen, nil
}

// atOnce takes what was seen for the verdict.
func atOnce(_ proof.Judge, seen contract.Seen, _ time.Time) proof.Decision {
	return proof.Decision{State: health.State(seen.State), Message: seen.Message}
}
