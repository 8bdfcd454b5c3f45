package world_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/shared/contract"
)

// The process of apply can be killed before or after its patch: without a trace, or
// with the object there.
func TestApplyKilledAroundItsPatch(t *testing.T) {
	objects := topics(t, payments)
	for name, done := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			var killed atomic.Int32
			var found error
			shared.AWS.Lambda.OnCall(func(call lambda.Call) bool {
				if !strings.HasSuffix(call.Function, "-apply") || !strings.HasPrefix(call.Operation, "PATCH ") || call.Done != done || killed.Add(1) > 1 {
					return false
				}
				_, found = objects.Get(t.Context(), "killed-"+name, metav1.GetOptions{})
				return true
			})
			defer shared.AWS.Lambda.OnCall(nil)
			before := len(shared.AWS.Lambda.Invocations())
			rollout(t, topic{name: "killed-" + name, targets: []contract.Target{payments}})
			if (found == nil) != done || found != nil && !apierrors.IsNotFound(found) {
				t.Errorf("when it was killed, the object was found with %v", found)
			}
			died := func(i lambda.Invocation) bool { return strings.Contains(i.Error, "Runtime.ExitError") }
			if !slices.ContainsFunc(shared.AWS.Lambda.Invocations()[before:], died) {
				t.Error("no function died")
			}
		})
	}
}
