package operation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// look takes the look that a wait takes at what is left.
func look(t *testing.T, a operation.Action, applied contract.Applied, left *unstructured.Unstructured) proof.Decision {
	t.Helper()
	op := of(t, operation.Delete)
	judge := proof.Judge{Target: a.Target, Resource: a.Ref, Applied: applied}
	seen, err := op.Look(judge, contract.Seen{}, left, noon)
	if err != nil {
		t.Fatal(err)
	}
	return op.Decide(judge, seen, noon)
}

func TestDelete(t *testing.T) {
	by(t, "other", object(t, web))
	journal := &book{}
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	a.Object, a.Note = nil, journal.note
	was := live(t, a.Ref.Name)
	for i := range 2 { // the second time the answer was lost
		done, err := of(t, operation.Delete).Act(t.Context(), a)
		if err != nil || done.Applied.Change != contract.Deleted || done.Applied.UID != string(was.GetUID()) || done.Object != nil {
			t.Errorf("%d: %+v, %v", i, done, err)
		}
		if decision := look(t, a, done.Applied, done.Object); decision.State != health.Ready || decision.Message != "Deployment default/testdelete is gone" {
			t.Errorf("%+v", decision)
		}
	}
	if journal.first == nil || journal.first.GetUID() != was.GetUID() || live(t, a.Ref.Name) != nil {
		t.Errorf("noted %v", journal.first)
	}
	// Whoever has created another one meanwhile keeps it.
	by(t, "other", object(t, web))
	done, err := of(t, operation.Delete).Act(t.Context(), a)
	if err != nil || done.Applied.Change != contract.Deleted || live(t, a.Ref.Name) == nil {
		t.Errorf("%+v, %v", done, err)
	}
	if decision := look(t, a, done.Applied, live(t, a.Ref.Name)); decision.State != health.Ready {
		t.Errorf("%+v", decision)
	}
}

func TestDeleteNothing(t *testing.T) {
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	done, err := of(t, operation.Delete).Act(t.Context(), a)
	if err != nil || done.Applied.Change != contract.Unchanged || look(t, a, done.Applied, done.Object).State != health.Ready {
		t.Errorf("%+v, %v", done, err)
	}
	a.Run.Delete = &contract.DeleteOptions{Absent: contract.AbsentFail}
	if _, err = of(t, operation.Delete).Act(t.Context(), a); fault.NameOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestDeleteWaitsForFinalizers(t *testing.T) {
	by(t, "other", object(t, web, "labels: {app: web}}\nspec", "finalizers: [example.com/a, example.com/b]}\nspec"))
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	done, err := of(t, operation.Delete).Act(t.Context(), a)
	if err != nil || done.Object == nil {
		t.Fatalf("%+v, %v", done, err)
	}
	decision := look(t, a, done.Applied, done.Object)
	if decision.State != health.Progressing || !strings.Contains(decision.Message, "is being deleted, which waits for the finalizers example.com/a, example.com/b") {
		t.Errorf("%+v", decision)
	}
	if !strings.Contains(done.Message, "is being deleted") {
		t.Errorf("without a wait: %q", done.Message)
	}
}

func TestDeleteOfAnotherUID(t *testing.T) {
	by(t, "other", object(t, web))
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	a.Run.Delete = &contract.DeleteOptions{UID: "another"}
	if _, err := of(t, operation.Delete).Act(t.Context(), a); fault.NameOf(err) != fault.Conflict || live(t, a.Ref.Name) == nil {
		t.Errorf("got %v", err)
	}
	a.Run.Delete.UID = string(live(t, a.Ref.Name).GetUID())
	if _, err := of(t, operation.Delete).Act(t.Context(), a); err != nil || live(t, a.Ref.Name) != nil {
		t.Errorf("got %v", err)
	}
}

// asked is a client that remembers how it was asked to delete.
type asked struct {
	dynamic.ResourceInterface
	options metav1.DeleteOptions
}

func (a *asked) Delete(_ context.Context, _ string, options metav1.DeleteOptions, _ ...string) error {
	a.options = options
	return nil
}

// The object that was looked at is deleted, and none that has taken its place.
func TestDeleteOptions(t *testing.T) {
	by(t, "other", object(t, web))
	for given, want := range map[contract.Propagation]metav1.DeletionPropagation{"": "Background", "Orphan": "Orphan", "Foreground": "Foreground"} {
		client := &asked{ResourceInterface: deployments(t)}
		a := actionOn(t, object(t, web), contract.ApplySettings{})
		a.Resource, a.Run.Delete = client, &contract.DeleteOptions{Propagation: given}
		if _, err := of(t, operation.Delete).Act(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if got := client.options; *got.PropagationPolicy != want || *got.Preconditions.UID != live(t, a.Ref.Name).GetUID() {
			t.Errorf("%q: %+v", given, got)
		}
	}
}

// blinded is a client that may not look at what it has deleted.
type blinded struct {
	dynamic.ResourceInterface
	deleted bool
}

func (b *blinded) Delete(ctx context.Context, name string, options metav1.DeleteOptions, sub ...string) error {
	b.deleted = true
	return b.ResourceInterface.Delete(ctx, name, options, sub...)
}

func (b *blinded) Get(ctx context.Context, name string, options metav1.GetOptions, sub ...string) (*unstructured.Unstructured, error) {
	if b.deleted {
		return nil, apierrors.NewUnauthorized("the token has expired")
	}
	return b.ResourceInterface.Get(ctx, name, options, sub...)
}

// Of a deletion that was made nobody may say that it changed nothing.
func TestDeleteThatCannotBeLookedAt(t *testing.T) {
	by(t, "other", object(t, web))
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	a.Resource = &blinded{ResourceInterface: deployments(t)}
	if done, err := of(t, operation.Delete).Act(t.Context(), a); !apierrors.IsUnauthorized(err) || done.Applied.Change != contract.Deleted {
		t.Errorf("%+v, %v", done.Applied, err)
	}
}
