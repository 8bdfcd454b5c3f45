package operation

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/proof"
)

// apply is a server-side apply, and a wait until the resource is Ready.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/
func apply() Operation {
	return Operation{
		Name: Apply,
		Does: "Applies the resource server-side, and waits until it is Ready.",
		// A server-side apply is a patch, which the API server also authorizes as a
		// create where the object is new. The wait gets the object again where its
		// version is too old to watch from.
		Verbs:     []string{"get", "create", "patch"},
		WaitVerbs: []string{"watch"},
		Outcomes:  writeOutcomes,
		Until:     untilReady,
		Act: func(ctx context.Context, a Action) (Done, error) {
			return repeated(ctx, a, applyOnce)
		},
		Waits:   waitsForReady,
		Look:    proof.Judge.Look,
		Decide:  proof.Judge.Decide,
		Outcome: writeOutcome,
	}
}

// applyOnce applies an object and says what that changed. An apply that changes
// nothing leaves the object as it was; so the object is read first.
func applyOnce(ctx context.Context, a Action) (Done, error) {
	live, err := a.live(ctx)
	if err != nil {
		return Done{}, err
	}
	if err := a.refuseRemovals(ctx, live); err != nil {
		return Done{}, err
	}
	before, err := a.note(ctx, live)
	if err != nil {
		return Done{}, err
	}
	after, err := a.adopt(ctx, live, a.Run.Apply.DryRun)
	if err != nil {
		return Done{}, err
	}
	return written(before, after, a.Run.Apply.FieldManager)
}

// refuseRemovals asks the cluster what the apply would remove, where the request
// refuses removals.
func (a Action) refuseRemovals(ctx context.Context, live *unstructured.Unstructured) error {
	if a.Run.Apply.Removals != contract.RemovalsRefuse || live == nil {
		return nil
	}
	after, err := a.adopt(ctx, live, true)
	if err != nil {
		return err
	}
	given, err := fields.GivenUp(live, after, a.Run.Apply.FieldManager)
	if err != nil || given == "" {
		return err
	}
	return fault.New(fault.WouldRemove, "%s: apply %s: the apply would remove %s, or put defaults there, and apply.removals is refuse",
		a.Target, a.Ref, given)
}

// adopt applies the object to live, and takes over the fields that conflict where all of
// their owners are managers that the request adopts from. Only in the version that was
// looked at: a change by somebody else between the two would be reported as ours, and
// taken back with it. It is met by the next attempt.
func (a Action) adopt(ctx context.Context, live *unstructured.Unstructured, dryRun bool) (*unstructured.Unstructured, error) {
	object := a.Object
	if live != nil {
		object = object.DeepCopy()
		object.SetResourceVersion(live.GetResourceVersion())
	}
	after, err := a.patch(ctx, object, a.Run.Apply.Force, dryRun)
	contested := conflicts(err)
	if len(contested) == 0 || len(a.Run.Apply.Adopt) == 0 || live == nil {
		return after, err
	}
	for _, path := range contested {
		owners, ownersErr := fields.Owners(live, path)
		if ownersErr != nil {
			return nil, ownersErr
		}
		for _, owner := range owners {
			if owner != a.Run.Apply.FieldManager && !slices.Contains(a.Run.Apply.Adopt, owner) {
				return nil, err
			}
		}
		if len(owners) == 0 {
			return nil, err // an owner that came after the object was read
		}
	}
	return a.patch(ctx, object, true, dryRun)
}

func (a Action) patch(ctx context.Context, object *unstructured.Unstructured, force, dryRun bool) (*unstructured.Unstructured, error) {
	options := metav1.ApplyOptions{FieldManager: a.Run.Apply.FieldManager, Force: force}
	if dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	return a.Resource.Apply(ctx, object.GetName(), object, options)
}

// conflicts returns the paths of the fields that an apply conflicts about: none
// where the conflict, if it is one, is about something else.
func conflicts(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var paths []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			paths = append(paths, cause.Field)
		}
	}
	return paths
}
