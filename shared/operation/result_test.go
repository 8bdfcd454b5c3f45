package operation_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
)

func TestTogether(t *testing.T) {
	run := contract.Run{Resources: []contract.ResourceRef{{Kind: "A", Name: "a"}, {Kind: "B", Name: "b"}, {Kind: "C", Name: "c"}}}
	result := func(outcome contract.Outcome, change contract.Change, proof contract.Proof) contract.Result {
		return contract.Result{Target: target, Outcome: outcome, Change: change, Proof: proof, Stood: []contract.Stood{{UID: string(change)}}}
	}
	unchanged := result(contract.OutcomeUnchanged, contract.Unchanged, contract.ProofUnchanged)
	tests := []struct {
		name    string
		results []contract.Result
		outcome contract.Outcome
		change  contract.Change
		proof   contract.Proof
	}{
		{"nothing changed", []contract.Result{unchanged, unchanged}, contract.OutcomeUnchanged, contract.Unchanged, contract.ProofUnchanged},
		{"the first that has changed", []contract.Result{unchanged, result(contract.OutcomeReady, contract.Configured, contract.ProofGeneration), result(contract.OutcomeReady, contract.Created, contract.ProofNew)},
			contract.OutcomeReady, contract.Configured, contract.ProofUnchanged},
		{"the weakest proof", []contract.Result{result(contract.OutcomeReady, contract.Created, contract.ProofSettled), result(contract.OutcomeReady, contract.Created, contract.ProofGeneration)},
			contract.OutcomeReady, contract.Created, contract.ProofSettled},
		{"one that is missing", []contract.Result{result(contract.OutcomeFound, contract.ChangeNone, ""), result(contract.OutcomeNotFound, contract.ChangeNone, ""), result(contract.OutcomeFound, contract.ChangeNone, "")},
			contract.OutcomeNotFound, contract.ChangeNone, ""},
		{"a rollback where one was not touched", []contract.Result{result(contract.OutcomeUnchanged, contract.ChangeNone, ""), result(contract.OutcomeRolledBack, contract.Configured, "")}, contract.OutcomeRolledBack, contract.Configured, ""},
		{"a rollback of some", []contract.Result{unchanged, result(contract.OutcomeRolledBack, contract.Deleted, "")}, contract.OutcomeRolledBack, contract.Deleted, contract.ProofUnchanged},
	}
	for _, test := range tests {
		var all *contract.Result
		for i, one := range test.results {
			all = operation.Together(run, all, i, one)
		}
		if all.Outcome != test.outcome || all.Change != test.change || all.Proof != test.proof || len(all.Resources) != len(test.results) || len(all.Stood) != len(test.results) ||
			all.Resources[1].Resource.Name != "b" || all.Resources[1].Outcome != test.results[1].Outcome {
			t.Errorf("%s: %+v", test.name, *all)
		}
	}
	alone := operation.Together(contract.Run{Resources: run.Resources[:1]}, nil, 0, unchanged)
	if alone.Resources != nil || alone.Outcome != contract.OutcomeUnchanged || len(alone.Stood) != 1 {
		t.Errorf("one resource: %+v", *alone)
	}
}

// A result is part of a state, however many resources and fields there are.
func TestTogetherIsBounded(t *testing.T) {
	run := contract.Run{}
	var paths []string
	for i := range contract.MaxFieldPaths - 5 {
		paths = append(paths, fmt.Sprintf(".spec.f%d", i))
	}
	var all *contract.Result
	for i := range 3 {
		run.Resources = append(run.Resources, contract.ResourceRef{}, contract.ResourceRef{})
		all = operation.Together(run, all, i, contract.Result{Outcome: contract.OutcomeReady, Fields: &contract.FieldChanges{Added: slices.Clone(paths), Removed: []string{".spec.x"}}})
	}
	listed, omitted := 0, 0
	for _, resource := range all.Resources {
		listed += len(resource.Fields.Added) + len(resource.Fields.Removed)
		omitted += resource.Fields.Omitted
	}
	if listed != contract.MaxFieldPaths || listed+omitted != 3*(len(paths)+1) || len(all.Resources[1].Fields.Removed) != 1 {
		t.Errorf("%d listed, %d omitted", listed, omitted)
	}
}

func TestTogetherJoinsValues(t *testing.T) {
	run := contract.Run{Resources: make([]contract.ResourceRef, 2)}
	first := operation.Together(run, nil, 0, contract.Result{Values: map[string][]any{"a": {1}, "b": {}}})
	all := operation.Together(run, first, 1, contract.Result{Values: map[string][]any{"a": {2}, "b": {3}}})
	if fmt.Sprint(all.Values) != "map[a:[1 2] b:[3]]" {
		t.Errorf("%v", all.Values)
	}
}
