package kube_test

import (
	"context"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
)

// apply applies an object through Do.
func apply(t *testing.T, client *kube.Client, ref contract.ResourceRef, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t.Helper()
	var after *unstructured.Unstructured
	err := client.Do(t.Context(), "apply", ref, topics, []string{"get", "create", "patch"}, func(ctx context.Context, api dynamic.ResourceInterface) (err error) {
		after, err = api.Apply(ctx, ref.Name, object, metav1.ApplyOptions{FieldManager: "crossapply"})
		return err
	})
	return after, err
}

func TestDo(t *testing.T) {
	ref := refTo("orders")
	applied, err := apply(t, clientIn(t, deployers), ref, topic(ref, map[string]any{"partitions": int64(3)}))
	if err != nil {
		t.Fatal(err)
	}
	stored, err := admin(t).Get(t.Context(), ref.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if partitions, _, _ := unstructured.NestedInt64(stored.Object, "spec", "partitions"); partitions != 3 || stored.GetUID() != applied.GetUID() {
		t.Errorf("the cluster holds %v", stored.Object)
	}
}

func TestDoOnAClusterScopedKind(t *testing.T) {
	ref := contract.ResourceRef{APIVersion: "v1", Kind: "Namespace", Name: "kafka"}
	namespaces := contract.Mapping{Version: "v1", Plural: "namespaces"}
	var found *unstructured.Unstructured
	err := clientIn(t, "system:masters").Do(t.Context(), "get", ref, namespaces, []string{"get"}, func(ctx context.Context, api dynamic.ResourceInterface) (err error) {
		found, err = api.Get(ctx, ref.Name, metav1.GetOptions{})
		return err
	})
	if err != nil || found.GetName() != "kafka" {
		t.Errorf("got %v, %v", found, err)
	}
}

func TestDoIsRefused(t *testing.T) {
	three := map[string]any{"partitions": int64(3)}
	tests := []struct {
		name  string
		token string // of a deployer when empty
		ref   contract.ResourceRef
		spec  map[string]any
		want  fault.Name
		says  string
	}{
		{
			name: "a token that the cluster does not know", token: "made-up", ref: refTo("x"), spec: three,
			want: fault.Unauthenticated, says: "apply Topic kafka/x",
		},
		{
			name: "RBAC", token: servers.Token(t, "joe", readers), ref: refTo("x"), spec: three,
			want: fault.Forbidden, says: "RBAC does not allow the access role to create, patch topics.messaging.example.com in namespace kafka",
		},
		{
			name: "no namespace", ref: contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "absent", Name: "x"}, spec: three,
			want: fault.NotFound, says: `namespaces "absent" not found`,
		},
		{
			name: "a value out of bounds", ref: refTo("x"), spec: map[string]any{"partitions": int64(0)},
			want: fault.Invalid, says: "spec.partitions",
		},
		{
			name: "a required field that is missing", ref: refTo("x"), spec: map[string]any{"replicas": int64(1)},
			want: fault.Invalid, says: "spec.partitions: Required value",
		},
		{
			name: "a field that the schema lacks", ref: refTo("x"), spec: map[string]any{"partitions": int64(3), "parts": int64(3)},
			want: fault.Invalid, says: ".spec.parts: field not declared in schema",
		},
		{
			name: "a value of another type", ref: refTo("x"), spec: map[string]any{"partitions": "three"},
			want: fault.Invalid, says: ".spec.partitions",
		},
	}
	deployer := servers.Token(t, "jane", deployers)
	for _, test := range tests {
		token := test.token
		if token == "" {
			token = deployer
		}
		_, err := apply(t, clientOf(t, token), test.ref, topic(test.ref, test.spec))
		expectFault(t, test.name, err, test.want, test.says)
	}
}

// A conflict names the field and who owns it.
func TestDoOnAFieldOfAnotherManager(t *testing.T) {
	ref := refTo("contested")
	theirs := topic(ref, map[string]any{"partitions": int64(5)})
	if _, err := admin(t).Apply(t.Context(), ref.Name, theirs, metav1.ApplyOptions{FieldManager: "kubectl"}); err != nil {
		t.Fatal(err)
	}
	_, err := apply(t, clientIn(t, deployers), ref, topic(ref, map[string]any{"partitions": int64(6)}))
	expectFault(t, "a field of another manager", err, fault.Conflict, `.spec.partitions: conflict with "kubectl"`)
}

// Admission answers with RBAC's code and reason.
func TestDoIsForbiddenByAdmission(t *testing.T) {
	client := clientIn(t, deployers)
	ref := refTo("large")
	err := untilEnforced(t, func() error {
		_, err := apply(t, client, ref, topic(ref, map[string]any{"partitions": int64(101)}))
		return err
	})
	expectFault(t, "a policy", err, fault.Invalid, "RBAC allows it, but admission does not")
	expectFault(t, "a policy", err, fault.Invalid, "a topic has at most 100 partitions here")

	all, err := dynamic.NewForConfig(servers.Clusters(t)[0].AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	// Nothing finishes the deletion here: the namespace stays as it is.
	namespaces := all.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	if err := namespaces.Delete(t.Context(), "closing", metav1.DeleteOptions{}); err != nil && !apierrors.IsConflict(err) {
		t.Fatal(err)
	}
	ref = refTo("late")
	ref.Namespace = "closing"
	_, err = apply(t, client, ref, topic(ref, map[string]any{"partitions": int64(1)}))
	expectFault(t, "a namespace that is being deleted", err, fault.Invalid, "RBAC allows it, but admission does not")
}

func TestDoWithAWebhookThatDoesNotRespond(t *testing.T) {
	client := clientIn(t, deployers)
	ref := refTo("labelled")
	object := topic(ref, map[string]any{"partitions": int64(1)})
	object.SetLabels(map[string]string{"webhook": "unresponsive"})
	err := untilEnforced(t, func() error {
		_, err := apply(t, client, ref, object)
		return err
	})
	expectFault(t, "a webhook that does not respond", err, fault.ClusterError, "unresponsive.example.com")
}

// untilEnforced repeats a call until it is refused: an API server takes a moment
// to learn of an admission policy that it holds, and says nowhere when it has.
func untilEnforced(t *testing.T, call func() error) error {
	t.Helper()
	var refused error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		refused = call()
		return refused != nil, nil
	})
	if err != nil {
		t.Fatal("not refused:", err)
	}
	return refused
}
