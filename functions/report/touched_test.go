package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
)

// Whether a target was touched is told by its child where it knows, and else by the
// journal.
func TestTouched(t *testing.T) {
	output := func(outcome contract.Outcome, change contract.Change) any {
		return returned(contract.Result{Target: targetOf(0), Outcome: outcome, Change: change}, 0)
	}
	conflict := failed(0, fault.Conflict, "owned")
	justAborted := childOf(0, "ABORTED", map[string]any{"StopDate": time.Now().Add(-10 * time.Second).UTC().Format(time.RFC3339)})
	tests := []struct {
		name    string
		child   any
		journal any // nil: no entry
		want    contract.Result
	}{
		{"the child's own word", output(contract.OutcomeReady, contract.Created), journal.Entry{After: did(contract.Configured)},
			contract.Result{Outcome: "Ready", Change: "created"}},
		{"a dry run's word", output(contract.OutcomeApplied, contract.Configured), nil, contract.Result{Outcome: "Applied", Change: "configured"}},
		{"not started", output(contract.OutcomeNotStarted, contract.ChangeNone), nil, contract.Result{Outcome: "NotStarted"}},
		{"no word and no entry", output(contract.OutcomeApplied, ""), nil, contract.Result{Outcome: "Applied", Change: "none"}},
		{"failed before the change", conflict, nil, contract.Result{Outcome: "Failed", Change: "none"}},
		{"failed after the change", conflict, journal.Entry{After: did(contract.Configured)},
			contract.Result{Outcome: "Failed", Change: "configured", GenerationBefore: 3, Generation: 4}},
		{"refused by the cluster", conflict, journal.Entry{Before: map[string]any{"metadata": map[string]any{"generation": 7}},
			After: &journal.After{Applied: contract.Applied{Change: contract.ChangeNone}}},
			contract.Result{Outcome: "Failed", Change: "none", GenerationBefore: 7}},
		{"ended in between", conflict, journal.Entry{Before: map[string]any{"metadata": map[string]any{"generation": 7}}},
			contract.Result{Outcome: "Failed", Change: "unknown", ChangeUnknown: "ended before it noted", GenerationBefore: 7}},
		{"ended in between, with nothing before", conflict, journal.Entry{},
			contract.Result{Outcome: "Failed", Change: "unknown", ChangeUnknown: "ended before it noted"}},
		{"aborted", childOf(0, "ABORTED", nil), journal.Entry{After: did(contract.Unchanged)},
			contract.Result{Outcome: "Stopped", Change: "unchanged", GenerationBefore: 3, Generation: 4}},
		{"aborted before it began", childOf(0, "ABORTED", map[string]any{"StartDate": nil}), nil, contract.Result{Outcome: "NotStarted"}},
		{"aborted long ago, with no entry", childOf(0, "ABORTED", nil), nil, contract.Result{Outcome: "Stopped", Change: "none"}},
		{"aborted just now, with no entry", justAborted, nil, contract.Result{Outcome: "Stopped", Change: "unknown", ChangeUnknown: "may still have been at work"}},
		{"aborted just now, with an entry", justAborted, journal.Entry{After: did(contract.Created)},
			contract.Result{Outcome: "Stopped", Change: "created", GenerationBefore: 3, Generation: 4}},
		{"aborted just now, in between", justAborted, journal.Entry{},
			contract.Result{Outcome: "Stopped", Change: "unknown", ChangeUnknown: "ended before it noted"}},
		{"pending, with the item as it was read", childOf(0, "PENDING", map[string]any{"StartDate": nil, "StopDate": nil,
			"Input": `{"account": "111111111111", "region": "eu-west-1", "cluster": "c0"}`}), nil, contract.Result{Outcome: "NotStarted"}},
		{"timed out", childOf(0, "TIMED_OUT", nil), nil, contract.Result{Outcome: "Failed", Change: "none"}},
		{"an entry of a target that says it was not started", output(contract.OutcomeNotStarted, ""), journal.Entry{},
			contract.Result{Outcome: "Stopped", Change: "unknown", ChangeUnknown: "ended before it noted"}},
		{"an entry of a target that says it was not touched", output(contract.OutcomeApplied, contract.ChangeNone), journal.Entry{},
			contract.Result{Outcome: "Applied", Change: "unknown", ChangeUnknown: "ended before it noted"}},
		{"an entry of a target whose result is unreadable", childOf(0, "SUCCEEDED", map[string]any{"Output": "{"}), journal.Entry{After: did(contract.Created)},
			contract.Result{Outcome: "Failed", Change: "created", GenerationBefore: 3, Generation: 4}},
		{"no entry but a list", conflict, []int{1}, contract.Result{Outcome: "Failed", Change: "unknown", ChangeUnknown: "cannot be read"}},
		{"a change that is none", conflict, journal.Entry{After: did("renamed")},
			contract.Result{Outcome: "Failed", Change: "unknown", ChangeUnknown: `says that it is "renamed"`}},
	}
	for _, test := range tests {
		b := planned(1, nil).mapRun(map[string][]any{"SUCCEEDED": {test.child}})
		if test.journal != nil {
			b.put(journalKey(0), test.journal)
		}
		_, full := report(t, b, nil)
		got := contract.Result{Outcome: full[0].Outcome, Change: full[0].Change, ChangeUnknown: full[0].ChangeUnknown,
			GenerationBefore: full[0].GenerationBefore, Generation: full[0].Generation}
		if strings.Contains(got.ChangeUnknown, test.want.ChangeUnknown) && test.want.ChangeUnknown != "" {
			got.ChangeUnknown = test.want.ChangeUnknown
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v", test.name, full[0])
		}
	}
}

// Of an execution that was stopped before its Map could write results, the targets'
// own traces tell what became of them.
func TestWithoutResults(t *testing.T) {
	b := planned(6, budget(3))
	b.journaled(1, nil)
	b.journaled(2, did(contract.Created))
	b.put(failedMark(3), map[string]string{"error": "CrossApply.Forbidden"})
	b.put(failedMark(4), map[string]string{"error": "CrossApply.ReadyTimeout"})
	b.journaled(4, did(contract.Configured))
	b[failedMark(5)] = "Forbidden"
	answer, got := report(t, b, nil)
	fields := did("").Fields
	want := []contract.Result{
		{Target: targetOf(0), Outcome: "NotStarted", Message: neverSeen},
		{Target: targetOf(1), Outcome: "Stopped", Change: "unknown", ChangeUnknown: got[1].ChangeUnknown, GenerationBefore: 3, Message: unfinished},
		{Target: targetOf(2), Outcome: "Stopped", Change: "created", GenerationBefore: 3, Generation: 4, Fields: fields, Message: unfinished},
		{Target: targetOf(3), Outcome: "Failed", Change: "none", Error: "CrossApply.Forbidden", Message: notNoted},
		{Target: targetOf(4), Outcome: "TimedOut", Change: "configured", GenerationBefore: 3, Generation: 4, Fields: fields,
			Error: "CrossApply.ReadyTimeout", Message: notNoted},
		{Target: targetOf(5), Outcome: "Failed", Change: "none", Message: got[5].Message},
	}
	if !reflect.DeepEqual(got, want) || got[1].ChangeUnknown == "" || !strings.Contains(got[5].Message, "why cannot be read") {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if answer.Status != contract.StatusFailed || answer.Total != 6 {
		t.Errorf("the answer is %+v", answer)
	}
}

// A Map that broke when it wrote its results: nothing says that a target that left
// no trace was not started.
func TestLostResults(t *testing.T) {
	b := planned(2, nil)
	b.put(failedMark(1), map[string]string{"error": "CrossApply.Forbidden"})
	b.reviewed(firstWave(), &contract.StateError{Error: "States.ResultWriterFailed"})
	_, got := report(t, b, nil)
	if got[0].Outcome != contract.OutcomeStopped || got[0].Change != contract.ChangeNone || got[1].Error != "CrossApply.Forbidden" {
		t.Errorf("got %+v", got)
	}
}
