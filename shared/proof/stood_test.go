package proof_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/proof"
)

func TestStood(t *testing.T) {
	condition := func(name, at string) map[string]any {
		return map[string]any{"type": name, "status": "True", "lastTransitionTime": at}
	}
	tests := []struct {
		name       string
		settings   contract.ReadySettings
		conditions []any
		want       string
	}{
		{"no condition", contract.ReadySettings{}, nil, ""},
		{"Ready", contract.ReadySettings{}, []any{condition("Synced", "1"), condition("Ready", "2")}, "2"},
		{"Available", contract.ReadySettings{}, []any{condition("Progressing", "1"), condition("Available", "2")}, "2"},
		{"Ready before Available", contract.ReadySettings{}, []any{condition("Available", "1"), condition("Ready", "2")}, "2"},
		{"the request's", contract.ReadySettings{Condition: "Synced"}, []any{condition("Synced", "1"), condition("Ready", "2")}, "1"},
		{"the request's for another kind", contract.ReadySettings{Condition: "Synced", Kind: "Other"}, []any{condition("Synced", "1"), condition("Ready", "2")}, "2"},
		{"the request's, which is not there", contract.ReadySettings{Condition: "Synced"}, []any{condition("Ready", "2")}, ""},
	}
	for _, test := range tests {
		object := &unstructured.Unstructured{Object: map[string]any{"kind": "Thing", "status": map[string]any{"conditions": test.conditions}}}
		object.SetUID("u")
		object.SetGeneration(7)
		if got, want := proof.Stood(object, test.settings), (contract.Stood{UID: "u", Generation: 7, Transition: test.want}); got != want {
			t.Errorf("%s: %+v, want %+v", test.name, got, want)
		}
	}
}

// Where a kind has no generation, what the object holds tells whether it was changed.
func TestStoodWithoutGeneration(t *testing.T) {
	thing := func() *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"kind": "ConfigMap", "metadata": map[string]any{"name": "x", "resourceVersion": "1"}, "data": map[string]any{"a": "1"}}}
	}
	before := proof.Stood(thing(), contract.ReadySettings{}).Content
	for name, test := range map[string]struct {
		change  func(u *unstructured.Unstructured)
		changed bool
	}{
		"data":                {func(u *unstructured.Unstructured) { u.Object["data"] = map[string]any{"a": "2"} }, true},
		"a label":             {func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"a": "b"}) }, true},
		"an annotation":       {func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{"a": "b"}) }, true},
		"a status":            {func(u *unstructured.Unstructured) { u.Object["status"] = "x" }, false},
		"the resourceVersion": {func(u *unstructured.Unstructured) { u.SetResourceVersion("2") }, false},
	} {
		u := thing()
		test.change(u)
		if after := proof.Stood(u, contract.ReadySettings{}).Content; before == "" || (after != before) != test.changed {
			t.Errorf("%s: %s, then %s", name, before, after)
		}
	}
}
