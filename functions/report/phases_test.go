package main

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/runs"
)

// twoWaves is an execution of the targets c0 and c1, c2 and c3.
func twoWaves(settings func(*contract.Run)) bucket {
	return plannedWaves(contract.Layout{Waves: []contract.PlannedWave{{Name: "canary", Total: 2, BakeSeconds: 60}, {Name: "rest", Total: 2}}}, settings)
}

func rollsBack(run *contract.Run) { run.OnFailure = contract.OnFailureRollback }

// changed is the first wave, in which both targets were changed: c0 is Ready, and c1
// has failed.
func changed(settings func(*contract.Run)) bucket {
	b := twoWaves(settings)
	b.journaled(0, did(contract.Configured))
	b.journaled(1, did(contract.Configured))
	b.put(markOf(1, 1), map[string]string{"error": "CrossApply.Conflict"})
	return b.mapRun(map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady)}, "FAILED": {failed(1, fault.Conflict, "owned")}})
}

func rolledBack(i int) any {
	return returned(contract.Result{Target: targetOf(i), Outcome: contract.OutcomeRolledBack, Change: contract.Configured}, i)
}

// What a later phase finds replaces how a target ended, and what happened before stays
// in sight.
func TestLaterPhases(t *testing.T) {
	checked := func(files map[string][]any) bucket {
		return changed(budget(1)).wrote(2, files).reviewed(check(2, 1), nil)
	}
	back := func(files map[string][]any) bucket {
		return changed(rollsBack).wrote(2, files).reviewed(rollback(2, 1), nil)
	}
	regressed := failed(0, fault.Regressed, "it is no longer Ready")
	tests := []struct {
		name string
		b    bucket
		want [2]string // outcome, outcome before the rollback, error and message of c0 and c1
	}{
		{"the check passes", checked(map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady)}}),
			[2]string{"Ready   Ready=True", "Failed  CrossApply.Conflict owned"}},
		{"the check fails", checked(map[string][]any{"FAILED": {regressed}}),
			[2]string{"Failed  CrossApply.Regressed it is no longer Ready", "Failed  CrossApply.Conflict owned"}},
		{"the check was stopped", checked(map[string][]any{"FAILED": {childOf(0, "ABORTED", nil)}}),
			[2]string{"Ready   Ready=True", "Failed  CrossApply.Conflict owned"}},
		{"the check's results are lost", func() bucket {
			b := checked(map[string][]any{"FAILED": {regressed}})
			b[resultsOf(2, "FAILED")] = "["
			return b
		}(), [2]string{"Failed  CrossApply.ResultUnreadable " + targetOf(0).String() + ": the result that Step Functions wrote cannot be read: it is not there, and " +
			resultsOf(2, "FAILED") + ": at its end: EOF", "Failed  CrossApply.Conflict owned"}},
		{"rolled back", back(map[string][]any{"SUCCEEDED": {rolledBack(0), rolledBack(1)}}),
			[2]string{"RolledBack Ready  Ready=True", "RolledBack Failed CrossApply.Conflict owned"}},
		{"a rollback fails", back(map[string][]any{"SUCCEEDED": {rolledBack(1)}, "FAILED": {failed(0, fault.ChangedSince, "kubectl has changed it")}}),
			[2]string{"Failed  CrossApply.ChangedSince kubectl has changed it; before its rollback it had ended as Ready: Ready=True", "RolledBack Failed CrossApply.Conflict owned"}},
		{"a rollback of what had failed fails", back(map[string][]any{"SUCCEEDED": {rolledBack(0)}, "FAILED": {failed(1, fault.ClusterUnreachable, "no answer")}}),
			[2]string{"RolledBack Ready  Ready=True", "Failed  CrossApply.ClusterUnreachable no answer; before its rollback it had ended as Failed with CrossApply.Conflict: owned"}},
		{"a rollback was not started", back(map[string][]any{"SUCCEEDED": {rolledBack(0)}, "PENDING": {pending(1)}}),
			[2]string{"RolledBack Ready  Ready=True", "Failed  CrossApply.Conflict owned; it was not rolled back; the rollout ended before this target's turn"}},
		{"nothing was to be rolled back", back(map[string][]any{"SUCCEEDED": {rolledBack(0),
			returned(contract.Result{Target: targetOf(1), Outcome: contract.OutcomeUnchanged, Change: contract.Unchanged}, 1)}}),
			[2]string{"RolledBack Ready  Ready=True", "Failed  CrossApply.Conflict owned"}},
		{"stopped before the rollback", changed(rollsBack), [2]string{"Ready   Ready=True; it was not rolled back", "Failed  CrossApply.Conflict owned; it was not rolled back"}},
		{"stopped in the rollback", func() bucket {
			b := changed(rollsBack)
			b.put(journal.Key(contract.Run{Prefix: prefix}, backward, targetOf(0), 0), journal.Entry{})
			b.put(markOf(2, 1), map[string]string{"error": "CrossApply.ChangedSince"})
			return b
		}(), [2]string{"Stopped   " + unfinishedRollback + "; before its rollback it had ended as Ready: Ready=True",
			"Failed  CrossApply.ChangedSince " + notNoted + "; before its rollback it had ended as Failed with CrossApply.Conflict: owned"}},
		{"stopped when the rollback had ended", changed(rollsBack).wrote(2, map[string][]any{"SUCCEEDED": {rolledBack(0), rolledBack(1)}}),
			[2]string{"RolledBack Ready  Ready=True", "RolledBack Failed CrossApply.Conflict owned"}},
	}
	for _, test := range tests {
		answer, full := report(t, test.b, nil)
		for i, want := range test.want {
			got := full[i]
			if said := fmt.Sprintf("%s %s %s %s", got.Outcome, got.RolledBackFrom, got.Error, got.Message); said != want {
				t.Errorf("%s: c%d\ngot  %s\nwant %s", test.name, i, said, want)
			}
			if (got.Change != contract.Created) && (got.Change != contract.Configured) && got.Outcome != contract.OutcomeStopped {
				t.Errorf("%s: c%d was touched, and its change is %q", test.name, i, got.Change)
			}
		}
		if test.name != "the check passes" && answer.Status != contract.StatusFailed || answer.Waves[0].Total != 2 {
			t.Errorf("%s: %s, %s, waves %+v", test.name, answer.Status, answer.Message, answer.Waves)
		}
	}
}

// The message counts what was rolled back, and why.
func TestRollbackInTheMessage(t *testing.T) {
	b := changed(rollsBack).wrote(2, map[string][]any{"SUCCEEDED": {rolledBack(1)}, "FAILED": {failed(0, fault.ChangedSince, "no")}}).reviewed(rollback(2, 1), nil)
	got, full := reportLast(t, b, "1 failed, and 0 may")
	want := "Topic kafka/orders: 0 of 4 targets succeeded (1 RolledBack, 1 Failed, 2 NotStarted); 1 failed, and 0 may; 1 of 2 targets that had been changed were rolled back"
	if got.Message != want {
		t.Errorf("got  %s\nwant %s", got.Message, want)
	}
	if got.Failed[0].Error != "CrossApply.ChangedSince" || got.Failed[1].RolledBackFrom != contract.OutcomeFailed {
		t.Errorf("failed: %+v", got.Failed)
	}
	if full[2].Outcome != contract.OutcomeNotStarted || full[2].Message != "1 failed, and 0 may" {
		t.Errorf("a wave that was not started: %+v", full[2])
	}
}

// Targets of waves that were not started say why.
func TestWhyNotStarted(t *testing.T) {
	ready := map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady), succeeded(1, contract.OutcomeReady)}}
	const refused = `wave "rest" was not approved: not tonight`
	tests := []struct {
		name         string
		in           contract.ReportInput
		says, ending string
	}{
		{"refused", contract.ReportInput{Last: &contract.Next{Action: contract.ActionReport, Reason: refused}}, refused, refused},
		{"review failed", contract.ReportInput{RolloutError: &contract.StateError{Error: "Lambda.Unknown"}}, neverSeen, "the rollout itself broke: Lambda.Unknown"},
		{"stopped the hard way", contract.ReportInput{}, neverSeen, "this is what is known so far"},
	}
	for _, test := range tests {
		b := twoWaves(func(run *contract.Run) { run.Ready.Wait = false }).mapRun(ready)
		test.in.Execution = execution
		got, full := reportOf(t, b, test.in)
		if full[3].Outcome != contract.OutcomeNotStarted || full[3].Message != test.says || full[3].Wave != "rest" {
			t.Errorf("%s: %+v", test.name, full[3])
		}
		if got.Status != contract.StatusFailed || !strings.HasSuffix(got.Message, test.ending) {
			t.Errorf("%s: %s, %s", test.name, got.Status, got.Message)
		}
		want := []contract.WaveAnswer{{Name: "canary", Total: 2, Counts: map[contract.Outcome]int{"Ready": 2}}, {Name: "rest", Total: 2, Counts: map[contract.Outcome]int{"NotStarted": 2}}}
		if !reflect.DeepEqual(got.Waves, want) {
			t.Errorf("%s: waves %+v", test.name, got.Waves)
		}
	}
}

// What the Map of a phase wrote counts also where review could not note its end.
func TestPhaseThatNobodyReviewed(t *testing.T) {
	b := changed(budget(1)).wrote(2, map[string][]any{"FAILED": {failed(0, fault.Regressed, "gone")}})
	for _, broken := range []*contract.StateError{nil, {Error: "Lambda.Unknown"}} {
		if got, full := report(t, b, broken); full[0].Error != "CrossApply.Regressed" || got.Status != contract.StatusFailed {
			t.Errorf("%v: %+v", broken, full[0])
		}
	}
}

// An account whose clusters could not be listed is a target that failed.
func TestAccounts(t *testing.T) {
	denied := contract.Result{Target: contract.Target{Account: "222222222222"}, Outcome: contract.OutcomeFailed, Error: "CrossApply.ListClustersDenied", Message: "no"}
	b := plannedWaves(contract.Layout{Waves: []contract.PlannedWave{{Name: "1", Total: 1}}, Accounts: []contract.Result{denied}}, nil)
	b.mapRun(map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady)}})
	got, full := report(t, b, nil)
	denied.Change = contract.ChangeNone
	if got.Total != 2 || !reflect.DeepEqual(full[1], denied) || !reflect.DeepEqual(got.Failed[0], denied) || got.Status != contract.StatusFailed {
		t.Errorf("got %+v, %+v", got, full)
	}
}

// A request for the plan alone is answered with it.
func TestPreview(t *testing.T) {
	b := twoWaves(nil)
	plan, layout := b.plan(), b.layout()
	plan.Preview, plan.Labels = true, map[string]string{"ticket": "OPS-1"}
	layout.Targets[1].Overrides = []int{0, 2}
	layout.Rules, layout.Inputs = []string{"condition Ready"}, []contract.InputObject{{Key: "inputs/topic.yaml", SHA256: "5e"}}
	b.put(prefix+runs.Plan, plan)
	b.put(prefix+runs.Layout, layout)
	got, full := reportLast(t, b, "the request is for the plan alone")
	if want := (contract.Result{Target: targetOf(1), Outcome: contract.OutcomePlanned, Wave: "canary", Overrides: []int{0, 2}}); !reflect.DeepEqual(full[1], want) {
		t.Errorf("got %+v", full[1])
	}
	want := contract.Answer{
		Execution: execution, Operation: "apply", Resources: []contract.ResourceRef{topic}, Rules: layout.Rules, Inputs: layout.Inputs, Labels: plan.Labels, Plan: true,
		Status: contract.StatusSucceeded, Message: "plan of Topic kafka/orders: 4 targets, none of them touched (4 Planned)",
		Total: 4, Counts: map[contract.Outcome]int{"Planned": 4}, Proofs: map[contract.Proof]int{},
		Waves: []contract.WaveAnswer{
			{Name: "canary", Total: 2, Counts: map[contract.Outcome]int{"Planned": 2}}, {Name: "rest", Total: 2, Counts: map[contract.Outcome]int{"Planned": 2}}},
		Failed: []contract.Result{}, Slowest: []contract.Result{}, Notes: []string{}, Report: "s3://bucket/" + reportKey,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The objects that get found are in the report, as long as there is room, and not in the
// answer.
func TestObjects(t *testing.T) {
	b := planned(3, func(run *contract.Run) { run.Operation = "get" })
	var children []any
	for i := range 3 {
		key := runs.ObjectKey(reportKey, targetOf(i).String(), 0)
		children = append(children, returned(contract.Result{Target: targetOf(i), Outcome: contract.OutcomeFound, ObjectKey: key, Values: map[string][]any{"a": {1}}}, i))
		b[key] = fmt.Sprintf(`{"spec":{"partitions":%d}}`, i)
	}
	b[runs.ObjectKey(reportKey, targetOf(1).String(), 0)] = "{"
	b.mapRun(map[string][]any{"SUCCEEDED": children})
	got, full := report(t, b, nil)
	if string(full[0].Object) != `{"spec":{"partitions":0}}` || full[1].Object != nil || full[1].ObjectKey == "" || string(full[2].Object) != `{"spec":{"partitions":2}}` {
		t.Errorf("got %+v", full)
	}
	if len(got.Slowest) != 3 || got.Slowest[0].Object != nil || got.Slowest[0].Values != nil || got.Message != "get of Topic kafka/orders: 3 of 3 targets succeeded (3 Found)" {
		t.Errorf("got %+v", got)
	}

	several := []contract.Result{full[0], {ObjectKey: full[0].ObjectKey, Resources: []contract.ResourceResult{{ObjectKey: full[0].ObjectKey}, {ObjectKey: full[2].ObjectKey}}}}
	several[0].Object = nil
	rollout{store: b}.inline(context.Background(), several, 2*len(full[0].Object))
	if several[0].Object == nil || several[1].Resources[0].Object == nil || several[1].Resources[1].Object != nil || several[1].Object != nil {
		t.Errorf("with room for two: %+v", several)
	}
}

// Of several resources the journal tells which were touched before a target failed.
func TestSeveralResources(t *testing.T) {
	names := []string{"namespace", "topic", "user"}
	settings := func(run *contract.Run) {
		run.Resources = nil
		for _, name := range names {
			run.Resources = append(run.Resources, contract.ResourceRef{APIVersion: "v1", Kind: "Topic", Name: name})
		}
	}
	tests := []struct {
		name    string
		error   fault.Name
		entries []*journal.After // of the first resources; nil: the function died
		want    string
		change  contract.Change
	}{
		{"before the first", fault.Forbidden, nil, "", contract.ChangeNone},
		{"at the first", fault.ResourceFailed, []*journal.After{did(contract.Created)}, "Failed created, NotStarted , NotStarted ", contract.Created},
		{"before the second", fault.Forbidden, []*journal.After{did(contract.Unchanged)}, "Unchanged unchanged, Failed none, NotStarted ", contract.ChangeNone},
		{"refused at the second", fault.Conflict, []*journal.After{did(contract.Unchanged), did(contract.ChangeNone)}, "Unchanged unchanged, Failed none, NotStarted ", contract.ChangeNone},
		{"within the second", fault.Internal, []*journal.After{did(contract.Created), nil}, "Ready created, Failed unknown, NotStarted ", contract.Created},
		{"at the last", fault.ReadyTimeout, []*journal.After{did(contract.Unchanged), did(contract.Unchanged), did(contract.Configured)},
			"Unchanged unchanged, Unchanged unchanged, TimedOut configured", contract.Configured},
	}
	for _, test := range tests {
		b := planned(1, settings)
		for i, after := range test.entries {
			b.put(journal.Key(contract.Run{Prefix: prefix}, forward, targetOf(0), i), journal.Entry{After: after})
		}
		got, full := report(t, b.mapRun(map[string][]any{"FAILED": {failed(0, test.error, "no")}}), nil)
		var said []string
		for i, r := range full[0].Resources {
			if said = append(said, string(r.Outcome)+" "+string(r.Change)); r.Resource.Name != names[i] {
				t.Errorf("%s: resource %d is %s", test.name, i, r.Resource)
			}
		}
		if strings.Join(said, ", ") != test.want || full[0].Change != test.change {
			t.Errorf("%s: %s: %s", test.name, full[0].Change, strings.Join(said, ", "))
		}
		if !strings.HasPrefix(got.Message, "Topic namespace and 2 more: ") {
			t.Errorf("%s: %s", test.name, got.Message)
		}
	}
}

// The answer keeps its size whatever it repeats of the request.
func TestAnswerStaysSmallWithEverything(t *testing.T) {
	words := strings.Repeat("\x01", 200)
	layout := contract.Layout{}
	for i := range contract.MaxWaves {
		layout.Waves = append(layout.Waves, contract.PlannedWave{Name: fmt.Sprint(i, words), Total: 2})
		layout.Rules = append(layout.Rules, words)
	}
	b := plannedWaves(layout, func(run *contract.Run) {
		run.Resources = nil
		for range contract.MaxResources {
			run.Resources = append(run.Resources, contract.ResourceRef{APIVersion: words[:60], Kind: words[:60], Namespace: words[:60], Name: words[:60]})
		}
	})
	plan := b.plan()
	plan.Labels = map[string]string{}
	for i := range contract.MaxLabels {
		plan.Labels[fmt.Sprint(i)] = words
		plan.Notes = append(plan.Notes, words)
	}
	b.put(prefix+runs.Plan, plan)
	b.wrote(1, map[string][]any{"FAILED": {failed(0, fault.Conflict, words), failed(1, fault.Conflict, "no")}}).reviewed(firstWave(), &contract.StateError{Error: words, Cause: words})
	got, _ := reportLast(t, b, words)
	if size := sizeOf(got); size > answerBytes {
		t.Errorf("the answer is %d bytes", size)
	}
	if len(got.Failed) == 0 || len(got.Waves) == 0 || len(got.Resources) == 0 || len(got.Labels) == 0 || !strings.Contains(strings.Join(got.Notes, "\n"), "the answer has room for") {
		t.Errorf("%d failed, %d waves, %d resources, %d labels, %q", len(got.Failed), len(got.Waves), len(got.Resources), len(got.Labels), got.Notes)
	}
}
