package main

import (
	"context"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// store counts its reads.
type store struct {
	objects map[string]string
	reads   int
}

func (s *store) Get(_ context.Context, key string) ([]byte, error) {
	s.reads++
	body, ok := s.objects[key]
	if !ok {
		return nil, fault.New(fault.NotFound, "no %s", key)
	}
	return []byte(body), nil
}

// A sandbox reads the resource once per execution, and never uses that of
// another; what one target does to it must not reach the next.
func TestResourceIsReadOncePerExecution(t *testing.T) {
	s := &store{objects: map[string]string{
		"runs/a/resource.json": `{"apiVersion": "v1", "kind": "Topic", "metadata": {"name": "a"}, "spec": {"big": 9007199254740993}}`,
		"runs/b/resource.json": `{"apiVersion": "v1", "kind": "Topic", "metadata": {"name": "b"}}`,
	}}
	a := &Applier{store: func(string) Store { return s }}
	read := func(execution string) string {
		t.Helper()
		object, err := a.resource(t.Context(), contract.Run{Name: execution, Prefix: "runs/" + execution + "/"})
		if err != nil {
			t.Fatal(err)
		}
		if spec, ok := object.Object["spec"].(map[string]any); ok && spec["big"] != int64(9007199254740993) {
			t.Errorf("a large integer became %v", spec["big"])
		}
		name := object.GetName()
		object.SetName("changed")
		return name
	}
	for _, execution := range []string{"a", "a", "b", "b", "a"} {
		if got := read(execution); got != execution {
			t.Errorf("execution %s got the resource %s", execution, got)
		}
	}
	if s.reads != 3 {
		t.Errorf("%d reads, want 3", s.reads)
	}
	if _, err := a.resource(t.Context(), contract.Run{Name: "c", Prefix: "runs/c/"}); fault.NameOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}
