package kube_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
)

// Errors as API servers make them are in the tests of what meets them. Here is
// every reason.

func TestFault(t *testing.T) {
	groupOf := schema.GroupResource{Group: topics.Group, Resource: topics.Plural}
	conflict := apierrors.NewApplyConflict([]metav1.StatusCause{
		{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.partitions", Message: `conflict with "kubectl"`},
		{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.retention", Message: `conflict with "ops"`},
	}, "Apply failed with 2 conflicts")
	webhook := apierrors.NewGenericServerResponse(http.StatusBadRequest, "patch", groupOf, "orders", "admission webhook \"x\" denied the request", 0, true)
	tests := []struct {
		err  error
		want fault.Name
		says string
	}{
		{apierrors.NewUnauthorized("who"), fault.Unauthenticated, ""},
		{apierrors.NewForbidden(groupOf, "orders", errors.New("no rule")), fault.Forbidden, "no rule"},
		{apierrors.NewNotFound(groupOf, "orders"), fault.NotFound, ""},
		{apierrors.NewAlreadyExists(groupOf, "orders"), fault.AlreadyExists, ""},
		{conflict, fault.Conflict, `.spec.partitions: conflict with "kubectl"; .spec.retention: conflict with "ops"`},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Topic"}, "orders", nil), fault.Invalid, ""},
		{apierrors.NewBadRequest("bad"), fault.Invalid, "bad"},
		{webhook, fault.Invalid, ""},
		{apierrors.NewTooManyRequests("slow", 1), fault.Throttled, ""},
		{apierrors.NewInternalError(errors.New("failed calling webhook")), fault.ClusterError, "failed calling webhook"},
		{apierrors.NewServerTimeout(groupOf, "patch", 1), fault.ClusterError, ""},
		{apierrors.NewServiceUnavailable("starting"), fault.ClusterUnreachable, ""},
		{fmt.Errorf("wrapped: %w", apierrors.NewUnauthorized("who")), fault.Unauthenticated, ""},
		{errors.New("dial tcp: connection refused"), fault.ClusterUnreachable, "connection refused"},
		{fault.New(fault.KindNotServed, "named already"), fault.KindNotServed, "named already"},
	}
	for _, test := range tests {
		err := kube.Fault(target, "apply Topic kafka/orders", test.err)
		if fault.NameOf(err) != test.want || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: got %s: %v, want %s", test.err, fault.NameOf(err), err, test.want)
		}
	}
	long := kube.Fault(target, "apply", apierrors.NewBadRequest(strings.Repeat("ä", 5000)))
	if len(long.Error()) > 800 {
		t.Errorf("a message of %d bytes", len(long.Error()))
	}
	if kube.Fault(target, "x", nil) != nil {
		t.Error("no error became one")
	}
}
