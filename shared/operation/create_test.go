package operation_test

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
)

// book is the journal of one resource: the first note holds.
type book struct {
	begun bool
	first *unstructured.Unstructured
}

func (b *book) note(_ context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if !b.begun {
		b.begun, b.first = true, live
	}
	return b.first, nil
}

func live(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	live, err := deployments(t).Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return live
}

func TestCreate(t *testing.T) {
	create := of(t, operation.Create)
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	journal := &book{}
	a.Note = journal.note
	done, err := create.Act(t.Context(), a)
	if err != nil || done.Applied.Change != contract.Created || done.Applied.Generation != 1 || len(done.Owned) == 0 || journal.first != nil || !journal.begun {
		t.Fatalf("%+v, %v, noted %v", done.Applied, err, journal.first)
	}
	// The answer was lost: what the journal says was not there has been made by us.
	again, err := create.Act(t.Context(), a)
	if err != nil || again.Applied.Change != contract.Created || again.Applied.UID != done.Applied.UID || again.Applied.OwnedHash != done.Applied.OwnedHash {
		t.Errorf("repeated: %+v, %v", again.Applied, err)
	}
	// Another execution finds an object.
	a.Note = noted
	_, err = create.Act(t.Context(), a)
	if fault.NameOf(err) != fault.AlreadyExists || !strings.HasPrefix(err.Error(), target.String()+": create Deployment default/testcreate: ") {
		t.Errorf("got %v", err)
	}
}

// Somebody else was faster, after our attempt had noted that nothing was there.
func TestCreateMeetsAnother(t *testing.T) {
	by(t, "other", object(t, web))
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	a.Note = (&book{begun: true}).note
	if _, err := of(t, operation.Create).Act(t.Context(), a); fault.NameOf(err) != fault.AlreadyExists {
		t.Errorf("got %v", err)
	}
}

func TestCreateDryRun(t *testing.T) {
	a := actionOn(t, object(t, web), contract.ApplySettings{DryRun: true})
	a.Note = nil
	done, err := of(t, operation.Create).Act(t.Context(), a)
	if err != nil || done.Applied.Change != contract.Created || live(t, a.Ref.Name) != nil {
		t.Errorf("%+v, %v", done.Applied, err)
	}
}

// As with an apply, a field that the schema does not know is an error.
func TestCreateRefusesUnknownFields(t *testing.T) {
	_, err := of(t, operation.Create).Act(t.Context(), actionOn(t, object(t, web, "replicas: 2", "replikas: 2"), contract.ApplySettings{}))
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "replikas") {
		t.Errorf("got %v", err)
	}
}
