package operation_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
)

func TestReplace(t *testing.T) {
	replace := of(t, operation.Replace)
	u := object(t, web, "labels: {app: web}}\nspec", "labels: {app: web, team: a}, finalizers: [example.com/x], "+
		"ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: o, uid: u}]}\nspec")
	by(t, "other", u)
	done, err := replace.Act(t.Context(), actionOn(t, object(t, web, "replicas: 2", "replicas: 3"), contract.ApplySettings{}))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, done, contract.Configured, contract.FieldChanges{Changed: []string{".spec.replicas"}, Removed: []string{".metadata.labels.team"}})
	now := live(t, u.GetName())
	if !slices.Equal(now.GetFinalizers(), []string{"example.com/x"}) || len(now.GetOwnerReferences()) != 1 || now.GetLabels()["team"] != "" {
		t.Errorf("it is %v", now.Object["metadata"])
	}
	again, err := replace.Act(t.Context(), actionOn(t, object(t, web, "replicas: 2", "replicas: 3"), contract.ApplySettings{}))
	if err != nil || again.Applied.Change != contract.Unchanged || again.Applied.ResourceVersion != done.Applied.ResourceVersion {
		t.Errorf("again: %+v, %v", again.Applied, err)
	}
	dry := actionOn(t, object(t, web), contract.ApplySettings{DryRun: true})
	dry.Note = nil
	would, err := replace.Act(t.Context(), dry)
	if err != nil || would.Applied.Change != contract.Configured || live(t, u.GetName()).GetResourceVersion() != done.Applied.ResourceVersion {
		t.Errorf("a dry run: %+v, %v", would.Applied, err)
	}
}

func TestReplaceNothing(t *testing.T) {
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	if _, err := of(t, operation.Replace).Act(t.Context(), a); !apierrors.IsNotFound(err) || live(t, a.Ref.Name) != nil {
		t.Errorf("got %v", err)
	}
}

// The status of a kind without a status subresource is a field like any other to the
// API server, but not to its operator.
func TestReplaceKeepsTheStatus(t *testing.T) {
	plains := clientOf(t, schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "plains"})
	const plain = "{apiVersion: example.com/v1, kind: Plain, metadata: {name: NAME, namespace: default}, spec: {size: 1}, status: {phase: Done}}"
	if _, err := plains.Create(t.Context(), object(t, plain), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	a := actionOn(t, object(t, plain, "size: 1", "size: 2", ", status: {phase: Done}", ""), contract.ApplySettings{})
	a.Resource, a.HasStatus = plains, false
	done, err := of(t, operation.Replace).Act(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	phase, _, _ := unstructured.NestedString(done.Object.Object, "status", "phase")
	if size, _, _ := unstructured.NestedInt64(done.Object.Object, "spec", "size"); size != 2 || phase != "Done" {
		t.Errorf("it is %v", done.Object.Object)
	}
}

// overtaken is a client whose object is changed by somebody else just before each of
// its first updates.
type overtaken struct {
	dynamic.ResourceInterface
	races int
	race  func()
}

func (o *overtaken) Update(ctx context.Context, u *unstructured.Unstructured, options metav1.UpdateOptions, sub ...string) (*unstructured.Unstructured, error) {
	if o.races > 0 {
		o.races--
		o.race()
	}
	return o.ResourceInterface.Update(ctx, u, options, sub...)
}

func TestReplaceMeetsARace(t *testing.T) {
	replace := of(t, operation.Replace)
	by(t, "other", object(t, web))
	turn := 2
	a := actionOn(t, object(t, web, "replicas: 2", "replicas: 9"), contract.ApplySettings{})
	client := &overtaken{ResourceInterface: deployments(t), races: 2, race: func() {
		turn++
		by(t, "other", object(t, web, "replicas: 2", "replicas: "+strings.Repeat("1", turn)))
	}}
	a.Resource = client
	if done, err := replace.Act(t.Context(), a); err != nil || done.Applied.Change != contract.Configured || client.races != 0 {
		t.Fatalf("%+v, %v, %d races left", done.Applied, err, client.races)
	}

	// With a resourceVersion it is for the request's author to look again.
	version := live(t, a.Ref.Name).GetResourceVersion()
	client.races = 1
	a.Object.SetResourceVersion(version)
	a.Object.SetLabels(map[string]string{"app": "web", "turn": "1"})
	_, err := replace.Act(t.Context(), a)
	if fault.NameOf(err) != fault.Conflict || !strings.Contains(err.Error(), "and the request gives "+version+": somebody else has changed it") {
		t.Errorf("got %v", err)
	}
}

// A replacement by resourceVersion whose answer was lost is not taken for somebody
// else's change.
func TestReplaceRepeated(t *testing.T) {
	replace := of(t, operation.Replace)
	by(t, "other", object(t, web))
	a := actionOn(t, object(t, web, "replicas: 2", "replicas: 9"), contract.ApplySettings{})
	a.Object.SetResourceVersion(live(t, a.Ref.Name).GetResourceVersion())
	a.Note = (&book{}).note
	for range 2 {
		done, err := replace.Act(t.Context(), a)
		if err != nil || done.Applied.Change != contract.Configured || done.Applied.GenerationBefore != 1 || done.Applied.Generation != 2 {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	}
	by(t, "third", object(t, web, "replicas: 2", "replicas: 4"))
	if _, err := replace.Act(t.Context(), a); fault.NameOf(err) != fault.Conflict {
		t.Errorf("got %v", err)
	}
}
