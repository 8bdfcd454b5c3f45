package kube

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Apply applies an object server-side and says what that changed. An apply that
// changes nothing leaves the object as it was, to the resourceVersion; so Apply
// reads it first; a call that is repeated because its answer was lost says
// unchanged too. A change by somebody else between the two calls is reported as
// configured. It fails with [fault.Conflict] and the fields and owners, or as
// [Fault] says.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/
func (c *Client) Apply(ctx context.Context, object *unstructured.Unstructured, mapping contract.Mapping, settings contract.ApplySettings) (contract.Applied, error) {
	ref := contract.ResourceRef{Kind: object.GetKind(), Namespace: object.GetNamespace(), Name: object.GetName()}
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	resource := c.resource(mapping, object.GetNamespace())
	before, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return contract.Applied{}, Fault(c.target, "read "+ref.String(), err)
	}
	options := metav1.ApplyOptions{FieldManager: settings.FieldManager, Force: settings.Force}
	if settings.DryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	after, err := resource.Apply(ctx, object.GetName(), object, options)
	switch {
	case err == nil:
	case apierrors.IsForbidden(err):
		return contract.Applied{}, c.refusal(ctx, ref, mapping, err)
	case mistyped(err):
		return contract.Applied{}, fault.Wrap(err, fault.Invalid, "%s: apply %s: the kind's schema does not allow it: %s",
			c.target, ref, fault.Shorten(err.Error(), maxMessage))
	default:
		return contract.Applied{}, Fault(c.target, "apply "+ref.String(), err)
	}
	return contract.Applied{
		Change:          changeBetween(before, after),
		UID:             string(after.GetUID()),
		Generation:      after.GetGeneration(),
		ResourceVersion: after.GetResourceVersion(),
	}, nil
}

// refusal tells apart who forbade an apply: RBAC, or admission. A webhook, an
// exceeded quota and a terminating namespace answer with the same code and
// reason as RBAC does, but what helps is another.
func (c *Client) refusal(ctx context.Context, ref contract.ResourceRef, mapping contract.Mapping, err error) error {
	if denied := c.Review(ctx, ref, mapping, []string{"get", "create", "patch"}); denied != nil {
		return denied
	}
	return fault.Wrap(err, fault.Invalid, "%s: apply %s: RBAC allows it, but admission does not: %s",
		c.target, ref, fault.Shorten(err.Error(), maxMessage))
}

// mistyped says that an apply holds a field that the kind's schema does not
// know, or a value of another type. It is the commonest mistake in a resource,
// and the one case in which an error must be told by its text: the API server
// answers with 500 and no reason, as it does for a fault of its own.
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go
func mistyped(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code == http.StatusInternalServerError &&
		status.Status().Reason == metav1.StatusReasonUnknown &&
		strings.HasPrefix(status.Status().Message, "failed to create typed patch object")
}

// changeBetween compares an object before an apply (nil or empty: there was
// none) and after. The whole object is compared, not the resourceVersion alone,
// because a dry run leaves that as it was whatever it would change.
func changeBetween(before, after *unstructured.Unstructured) contract.Change {
	switch {
	case before == nil || before.GetUID() == "" || before.GetUID() != after.GetUID():
		return contract.Created
	case !reflect.DeepEqual(before.Object, after.Object):
		return contract.Configured
	}
	return contract.Unchanged
}
