package operation_test

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
)

func TestCheck(t *testing.T) {
	const known = "the cluster payments knows the access role as jane"
	whole := func(*operation.Action) {}
	named := func(a *operation.Action) { a.Object = nil }
	tests := []struct {
		name      string
		operation contract.Operation
		change    func(a *operation.Action)
		says      string
	}{
		{"a cluster", "", func(a *operation.Action) { a.Ref, a.Resource, a.Object = contract.ResourceRef{}, nil, nil }, known},
		{"an apply", "", whole, known + "; a dry run of apply Deployment default/testcheck succeeded: WouldCreate"},
		{"a creation", operation.Create, whole, known + "; a dry run of create Deployment default/testcheck succeeded: WouldCreate"},
		{"a deletion", operation.Delete, whole, known + "; it may delete Deployment default/testcheck"},
		{"by name", "", named, known + "; it may apply Deployment default/testcheck"},
	}
	for _, test := range tests {
		a := actionOn(t, object(t, web), contract.ApplySettings{})
		a.Run.Check = &contract.CheckOptions{Operation: test.operation}
		a.Note, a.WhoAmI = nil, func(context.Context) (string, error) { return "jane", nil }
		test.change(&a)
		done, err := of(t, operation.Check).Act(t.Context(), a)
		if err != nil || done.Applied.Change != contract.ChangeNone || done.Message != test.says {
			t.Errorf("%s: %+v, %v", test.name, done, err)
		}
	}
	if live(t, object(t, web).GetName()) != nil {
		t.Error("a check has created the object")
	}
}

func TestCheckFindsWhatIsInTheWay(t *testing.T) {
	by(t, "other", object(t, web))
	a := actionOn(t, object(t, web, "replicas: 2", "replicas: 3"), contract.ApplySettings{})
	a.WhoAmI = func(context.Context) (string, error) { return "jane", nil }
	if _, err := of(t, operation.Check).Act(t.Context(), a); !apierrors.IsConflict(err) {
		t.Errorf("a field of another: %v", err)
	}
	a.Run.Check = &contract.CheckOptions{Operation: operation.Create}
	if _, err := of(t, operation.Check).Act(t.Context(), a); fault.NameOf(err) != fault.AlreadyExists {
		t.Errorf("an object that is there: %v", err)
	}
	refused := fault.New(fault.Unauthenticated, "who are you")
	a.WhoAmI = func(context.Context) (string, error) { return "", refused }
	if _, err := of(t, operation.Check).Act(t.Context(), a); fault.NameOf(err) != fault.Unauthenticated {
		t.Errorf("a cluster that does not know us: %v", err)
	}
}
