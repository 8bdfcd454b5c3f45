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
		if o.Does == "" || len(o.Verbs) == 0 || len(o.Outcomes) == 0 || o.Act == nil || o.Waits == nil || o.Look == nil || o.Outcome == nil {
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
	apply, err := operation.Of(operation.Apply)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		dryRun bool
		wait   bool
		want   []string
	}{
		{"apply and wait", false, true, []string{"get", "create", "patch", "watch"}},
		{"apply only", false, false, []string{"get", "create", "patch"}},
		{"dry run", true, true, []string{"get", "create", "patch"}},
	}
	for _, test := range tests {
		run := contract.Run{Apply: contract.ApplySettings{DryRun: test.dryRun}, Ready: contract.ReadySettings{Wait: test.wait}}
		if got := apply.VerbsOf(run); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	if want := []string{"get", "watch", "create", "patch"}; !slices.Equal(operation.Verbs(), want) {
		t.Errorf("all verbs are %v, want %v", operation.Verbs(), want)
	}
}

func TestApplyOutcome(t *testing.T) {
	apply, err := operation.Of(operation.Apply)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		change contract.Change
		waited bool
		want   contract.Outcome
	}{
		{contract.Created, true, contract.OutcomeReady},
		{contract.Configured, true, contract.OutcomeReady},
		{contract.Unchanged, true, contract.OutcomeUnchanged},
		{contract.Created, false, contract.OutcomeApplied},
		{contract.Unchanged, false, contract.OutcomeUnchanged},
	}
	for _, test := range tests {
		got := apply.Outcome(contract.Applied{Change: test.change}, test.waited)
		if got != test.want || !slices.Contains(apply.Outcomes, got) {
			t.Errorf("%s, waited %t: %s, want %s", test.change, test.waited, got, test.want)
		}
	}
}
