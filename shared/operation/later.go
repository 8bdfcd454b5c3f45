package operation

import (
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/crossapply/crossapply/shared/contract"
)

// Tries says that a run of the operation tries what could be done, and keeps nothing. A
// resource that another one has to bring before, its kind or its namespace, then cannot
// be tried.
func (o Operation) Tries(run contract.Run) bool {
	return o.Name == Check || run.Apply.DryRun && slices.Contains(o.Verbs, "create")
}

// Later is what a try says of a resource that another one has to come before.
func (o Operation) Later(a Action) Done {
	done := Done{
		Applied: contract.Applied{Change: contract.Created},
		Message: fmt.Sprintf("%s cannot be tried in %s yet: its kind or its namespace is not there, and another of the resources brings it", a.Ref, a.Target.Cluster),
	}
	if o.Reads {
		done.Applied.Change = contract.ChangeNone
	}
	return done
}

// NamespaceComes says that an action failed because there is no namespace for its
// object, which is one of the resources before it.
func (a Action) NamespaceComes(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Kind == "namespaces" && details.Name == a.Ref.Namespace &&
		slices.ContainsFunc(a.Run.Resources[:a.Index], func(r contract.ResourceRef) bool {
			return r.APIVersion == "v1" && r.Kind == "Namespace" && r.Name == a.Ref.Namespace
		})
}
