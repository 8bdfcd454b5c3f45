package kube

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Fault names an error of a call to a cluster. doing says what was tried, as in
// "apply Topic kafka/orders". It returns nil for a nil err, and leaves alone an
// error that has a name already.
func Fault(target contract.Target, doing string, err error) error {
	var named *fault.Error
	if err == nil || errors.As(err, &named) {
		return err
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return fault.Wrap(err, fault.ClusterUnreachable, "%s: %s: the API server cannot be reached: %s", target, doing, transport(err))
	}
	return fault.Wrap(err, nameOf(err, status.Status()), "%s: %s: %s", target, doing, messageOf(status.Status()))
}

// byReason maps the reasons of the API server to names.
// https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#StatusReason
var byReason = map[metav1.StatusReason]fault.Name{
	metav1.StatusReasonUnauthorized:          fault.Unauthenticated,
	metav1.StatusReasonForbidden:             fault.Forbidden,
	metav1.StatusReasonNotFound:              fault.NotFound,
	metav1.StatusReasonAlreadyExists:         fault.AlreadyExists,
	metav1.StatusReasonConflict:              fault.Conflict,
	metav1.StatusReasonTooManyRequests:       fault.Throttled,
	metav1.StatusReasonServiceUnavailable:    fault.ClusterUnreachable,
	metav1.StatusReasonInternalError:         fault.ClusterError,
	metav1.StatusReasonServerTimeout:         fault.ClusterError,
	metav1.StatusReasonTimeout:               fault.ClusterError,
	metav1.StatusReasonInvalid:               fault.Invalid,
	metav1.StatusReasonBadRequest:            fault.Invalid,
	metav1.StatusReasonRequestEntityTooLarge: fault.Invalid,
}

func nameOf(err error, status metav1.Status) fault.Name {
	if mistyped(status) {
		return fault.Invalid
	}
	if name, ok := byReason[apierrors.ReasonForError(err)]; ok {
		return name
	}
	switch {
	case status.Code == http.StatusUnauthorized:
		return fault.Unauthenticated
	case status.Code == http.StatusTooManyRequests:
		return fault.Throttled
	case status.Code >= http.StatusInternalServerError, status.Code/100 == 3: // an API server does not redirect
		return fault.ClusterError
	}
	// An admission webhook that says no does so with a code of its own choice.
	return fault.Invalid
}

// mistyped says that an apply holds a field that the kind's schema does not
// know, or a value of another type. It is the commonest mistake in a resource,
// and the one case in which an error must be told by its text: the API server
// answers with 500 and no reason, as it does for a fault of its own.
// https://github.com/kubernetes/kubernetes/blob/v1.37.2/staging/src/k8s.io/apimachinery/pkg/util/managedfields/internal/structuredmerge.go
func mistyped(status metav1.Status) bool {
	return status.Code == http.StatusInternalServerError && status.Reason == metav1.StatusReasonUnknown &&
		strings.HasPrefix(status.Message, "failed to create typed patch object")
}

// messageOf returns the API server's words; for a server-side apply conflict,
// the fields and their owners.
func messageOf(status metav1.Status) string {
	var conflicts []string
	if status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Type == metav1.CauseTypeFieldManagerConflict {
				conflicts = append(conflicts, cause.Field+": "+cause.Message)
			}
		}
	}
	message := status.Message
	if conflicts != nil {
		message = strings.Join(conflicts, "; ")
	}
	return fault.Shorten(message, fault.MaxRepeated)
}

// transport says why no answer came, without the URL that url.Error repeats.
func transport(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}
