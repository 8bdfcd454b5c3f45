package operation_test

import (
	"slices"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
)

func TestTable(t *testing.T) {
	seen := map[contract.Operation]bool{}
	for _, o := range operation.All() {
		found, err := operation.Of(o.Name)
		if err != nil || found.Name != o.Name || seen[o.Name] {
			t.Errorf("%s: found %s, %v", o.Name, found.Name, err)
		}
		seen[o.Name] = true
		if o.Does == "" || len(o.Verbs) == 0 || len(o.Outcomes) == 0 || o.Act == nil || o.Waits == nil || o.Look == nil || o.Decide == nil || o.Outcome == nil {
			t.Errorf("%s lacks something: %+v", o.Name, o)
		}
		for _, outcome := range o.Outcomes {
			if !outcome.Succeeded() {
				t.Errorf("%s can succeed with %s, which is a failure", o.Name, outcome)
			}
		}
		for _, verb := range slices.Concat(o.Verbs, o.WaitVerbs) {
			if !slices.Contains(operation.Verbs(), verb) {
				t.Errorf("%s uses %s, which the RBAC rules leave out", o.Name, verb)
			}
		}
	}
	if !seen[operation.Default] {
		t.Errorf("the default, %s, is not in the table", operation.Default)
	}
	if _, err := operation.Of("destroy"); err == nil {
		t.Error("an unknown operation is found")
	}
}

func TestVerbsOf(t *testing.T) {
	check := func(name contract.Operation) contract.Run {
		return contract.Run{Check: &contract.CheckOptions{Operation: name}}
	}
	wait := contract.ReadySettings{Wait: true}
	tests := []struct {
		operation contract.Operation
		run       contract.Run
		want      []string
	}{
		{operation.Apply, contract.Run{Ready: wait}, []string{"get", "create", "patch", "watch"}},
		{operation.Apply, contract.Run{}, []string{"get", "create", "patch"}},
		{operation.Apply, contract.Run{Ready: wait, Apply: contract.ApplySettings{DryRun: true}}, []string{"get", "create", "patch"}},
		{operation.Apply, contract.Run{Ready: wait, OnFailure: contract.OnFailureRollback}, []string{"get", "create", "patch", "watch", "update", "delete"}},
		{operation.Apply, contract.Run{OnFailure: contract.OnFailureRollback, Apply: contract.ApplySettings{DryRun: true}}, []string{"get", "create", "patch"}},
		{operation.Create, contract.Run{Ready: wait}, []string{"get", "create", "watch"}},
		{operation.Replace, contract.Run{Ready: wait}, []string{"get", "update", "watch"}},
		{operation.Get, contract.Run{Ready: wait, OnFailure: contract.OnFailureRollback}, []string{"get"}},
		{operation.Delete, contract.Run{Ready: wait}, []string{"get", "delete", "watch"}},
		{operation.Check, contract.Run{}, []string{"get", "create", "patch"}},
		{operation.Check, check(operation.Delete), []string{"get", "delete"}},
		{operation.Verify, contract.Run{Ready: wait, OnFailure: contract.OnFailureRollback}, []string{"get"}},
		{operation.Rollback, contract.Run{}, []string{"get", "create", "update", "delete", "watch"}},
	}
	for _, test := range tests {
		if got := of(t, test.operation).VerbsOf(test.run); !slices.Equal(got, test.want) {
			t.Errorf("%s with %+v: %v, want %v", test.operation, test.run, got, test.want)
		}
	}
	if want := []string{"get", "watch", "create", "update", "patch", "delete"}; !slices.Equal(operation.Verbs(), want) {
		t.Errorf("all verbs are %v, want %v", operation.Verbs(), want)
	}
}

func of(t *testing.T, name contract.Operation) operation.Operation {
	t.Helper()
	op, err := operation.Of(name)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestNamesLeaveInternalOnesOut(t *testing.T) {
	want := []contract.Operation{"apply", "create", "replace", "get", "delete", "check"}
	if got := operation.Names(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOrder(t *testing.T) {
	for name, want := range map[contract.Operation][]int{operation.Apply: {0, 1, 2}, operation.Delete: {2, 1, 0}, operation.Rollback: {2, 1, 0}} {
		var got []int
		for step := range 3 {
			got = append(got, operation.Order(of(t, name), 3, step))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	dry := contract.Run{Apply: contract.ApplySettings{DryRun: true}}
	tests := []struct {
		operation contract.Operation
		run       contract.Run
		applied   contract.Applied
		waited    bool
		want      contract.Outcome
	}{
		{operation.Apply, contract.Run{}, contract.Applied{Change: contract.Created}, true, contract.OutcomeReady},
		{operation.Apply, contract.Run{}, contract.Applied{Change: contract.Configured}, true, contract.OutcomeReady},
		{operation.Apply, contract.Run{}, contract.Applied{Change: contract.Unchanged}, true, contract.OutcomeUnchanged},
		{operation.Apply, contract.Run{}, contract.Applied{Change: contract.Created}, false, contract.OutcomeApplied},
		{operation.Apply, contract.Run{}, contract.Applied{Change: contract.Unchanged}, false, contract.OutcomeUnchanged},
		{operation.Apply, dry, contract.Applied{Change: contract.Created}, false, contract.OutcomeWouldCreate},
		{operation.Apply, dry, contract.Applied{Change: contract.Configured}, false, contract.OutcomeWouldChange},
		{operation.Apply, dry, contract.Applied{Change: contract.Unchanged}, false, contract.OutcomeUnchanged},
		{operation.Create, contract.Run{}, contract.Applied{Change: contract.Created}, true, contract.OutcomeReady},
		{operation.Replace, contract.Run{}, contract.Applied{Change: contract.Configured}, false, contract.OutcomeApplied},
		{operation.Get, contract.Run{}, contract.Applied{UID: "u"}, false, contract.OutcomeFound},
		{operation.Get, contract.Run{}, contract.Applied{}, false, contract.OutcomeNotFound},
		{operation.Delete, contract.Run{}, contract.Applied{Change: contract.Deleted}, false, contract.OutcomeDeleted},
		{operation.Delete, contract.Run{}, contract.Applied{Change: contract.Unchanged}, true, contract.OutcomeUnchanged},
		{operation.Check, contract.Run{}, contract.Applied{}, false, contract.OutcomePassed},
		{operation.Verify, contract.Run{}, contract.Applied{}, false, contract.OutcomeReady},
		{operation.Rollback, contract.Run{}, contract.Applied{Change: contract.Configured}, true, contract.OutcomeRolledBack},
	}
	for _, test := range tests {
		op := of(t, test.operation)
		got := op.Outcome(test.run, test.applied, test.waited)
		if got != test.want || !slices.Contains(op.Outcomes, got) {
			t.Errorf("%s of %+v, waited %t: %s, want %s", test.operation, test.applied, test.waited, got, test.want)
		}
	}
}
