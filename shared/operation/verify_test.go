package operation_test

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
	"github.com/crossapply/crossapply/shared/readiness"
)

// holding is a cluster that holds one object.
type holding struct {
	operation.Resource
	object *unstructured.Unstructured
}

func (h holding) Get(context.Context, string, metav1.GetOptions, ...string) (*unstructured.Unstructured, error) {
	if h.object == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, "x")
	}
	return h.object, nil
}

func TestVerify(t *testing.T) {
	rule, err := readiness.New(contract.ReadyExpressions{}, "Ready", schema.GroupKind{Group: "example.com", Kind: "Thing"})
	if err != nil {
		t.Fatal(err)
	}
	set := func(value any, path ...string) func(u *unstructured.Unstructured) *unstructured.Unstructured {
		return func(u *unstructured.Unstructured) *unstructured.Unstructured {
			return &unstructured.Unstructured{Object: changed(u.Object, value, path...)}
		}
	}
	condition := func(status, at string) []any {
		return []any{map[string]any{"type": "Ready", "status": status, "lastTransitionTime": at, "reason": "Because"}}
	}
	tests := []struct {
		name   string
		change func(u *unstructured.Unstructured) *unstructured.Unstructured
		says   string // empty: it stands
	}{
		{"as it was", func(u *unstructured.Unstructured) *unstructured.Unstructured { return u }, ""},
		{"another message", set("again", "status", "message"), ""},
		{"gone", func(*unstructured.Unstructured) *unstructured.Unstructured { return nil }, "it is gone"},
		{"another object", set("another", "metadata", "uid"), "another object has taken its place"},
		{"another generation", set(int64(8), "metadata", "generation"), "its generation is 8, and was 7"},
		{"no longer Ready", set(condition("False", "12:00"), "status", "conditions"), "it is Progressing, by condition Ready: Ready=False (Because)"},
		{"Ready again", set(condition("True", "12:05"), "status", "conditions"), "its condition has changed meanwhile: last at 12:05, and before that at 12:00"},
		{"being deleted", set("2026-01-02T12:00:00Z", "metadata", "deletionTimestamp"), "the object is being deleted"},
	}
	for _, test := range tests {
		was := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Thing",
			"metadata": map[string]any{"uid": "u", "generation": int64(7)}, "status": map[string]any{"conditions": condition("True", "12:00")}}}
		a := operation.Action{Item: contract.Item{TargetItem: contract.TargetItem{Target: target}}, Ref: contract.ResourceRef{Kind: "Thing", Name: "x"}, Rule: rule, HasStatus: true}
		a.Stood = []contract.Stood{proof.Stood(was, contract.ReadySettings{})}
		a.Resource = holding{object: test.change(was)}
		done, err := of(t, operation.Verify).Act(t.Context(), a)
		if test.says == "" {
			if err != nil || done.Applied.Change != contract.ChangeNone {
				t.Errorf("%s: %+v, %v", test.name, done, err)
			}
			continue
		}
		if fault.NameOf(err) != fault.Regressed || !strings.HasPrefix(err.Error(), target.String()+": Thing x was Ready, but after the bake time ") || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.says)
		}
	}
	_, err = of(t, operation.Verify).Act(t.Context(), operation.Action{})
	if fault.NameOf(err) != fault.Internal {
		t.Errorf("how it stood is not known: %v", err)
	}
}

// changed returns a copy of an object with another value at a path.
func changed(object map[string]any, value any, path ...string) map[string]any {
	u := (&unstructured.Unstructured{Object: object}).DeepCopy()
	if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
		panic(err)
	}
	return u.Object
}
