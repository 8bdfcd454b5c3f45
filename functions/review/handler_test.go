package main

import (
	"context"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

type counts = map[contract.Outcome]int

// A wave has ended: it is counted and written down, and the next one is due.
func TestAfterAWave(t *testing.T) {
	b := planned([]int{4, 2}, func(run *contract.Run, _ *contract.Layout) { run.MaxFailures = 2 })
	b.results(1, returned(0, contract.OutcomeReady), returned(1, contract.OutcomeUnchanged), failed(2, fault.Conflict), failed(3, fault.ReadyTimeout))
	next := review(t, b, afterWave(1, 1), now)
	want := counts{"Ready": 1, "Unchanged": 1, "Failed": 1, "TimedOut": 1}
	if next.Action != contract.ActionWork || next.Phase.Number != 2 || next.Phase.Wave != 2 || next.ItemsKey != prefix+runs.WaveItems(2) || !maps.Equal(next.Counts, want) {
		t.Errorf("next is %+v", next)
	}
	ended := next.Ended
	if ended == nil || ended.Number != 1 || ended.Total != 4 || ended.Failed != 2 || !maps.Equal(ended.Counts, want) || !ended.At.Equal(now) || ended.ResultsPrefix != prefix+"results/1" || ended.Broke != nil {
		t.Errorf("it ended as %+v", ended)
	}
	b.results(2, returned(4, contract.OutcomeReady), returned(5, contract.OutcomeReady))
	if next := review(t, b, afterWave(2, 2), now); next.Action != contract.ActionReport || next.Counts["Ready"] != 3 || next.Ended.Number != 2 || next.Ended.Counts["Ready"] != 2 {
		t.Errorf("at the end %+v", next)
	}
}

// What cannot be read of a phase, or is not there, counts as failed unless it is known
// that nothing was started.
func TestOutcomes(t *testing.T) {
	const readerFailed, runtime = "States.ItemReaderFailed", "States.Runtime"
	tests := []struct {
		name  string
		left  func(*bucket)
		broke string
		want  counts
	}{
		{"a target that the gate did not let pass", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady), returned(1, contract.OutcomeNotStarted))
		}, "", counts{"Ready": 1, "NotStarted": 1}},
		{"a tolerated error", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady), returned(1, contract.OutcomeSkipped))
		}, "", counts{"Ready": 1, "Skipped": 1}},
		{"results that do not mention a target", func(b *bucket) { b.results(1, returned(0, contract.OutcomeReady)) }, "", counts{"Ready": 1, "NotStarted": 1}},
		{"that has left a mark", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady))
			b.put(prefix+runs.PhaseFailed(1)+targetOf(1).String(), map[string]string{"error": "CrossApply.Conflict"})
		}, "", counts{"Ready": 1, "Failed": 1}},
		{"or one in another phase", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady))
			b.put(prefix+runs.PhaseFailed(10)+targetOf(1).String(), map[string]string{"error": "CrossApply.Conflict"})
		}, "", counts{"Ready": 1, "NotStarted": 1}},
		{"a target twice", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady), returned(1, contract.OutcomeReady), returned(1, contract.OutcomeReady))
		}, "", counts{"Ready": 1, "Failed": 1}},
		{"a target of another phase", func(b *bucket) { b.results(1, returned(0, contract.OutcomeReady), returned(7, contract.OutcomeReady)) }, "", counts{"Ready": 1, "Failed": 1}},
		{"an output that is no result", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady), child(1, "SUCCEEDED", map[string]any{"Output": "{}"}))
		}, "", counts{"Ready": 1, "Failed": 1}},
		{"a file that cannot be read", func(b *bucket) {
			b.results(1, returned(0, contract.OutcomeReady))
			b.objects[prefix+"results/1/7f/FAILED_0.json"] = "["
		}, "", counts{"Ready": 1, "Failed": 1}},
		{"no results of a Map that ended well", func(*bucket) {}, "", counts{"Failed": 2}},
		{"no results of a Map that had nothing to start", func(*bucket) {}, readerFailed, counts{"NotStarted": 2}},
		{"no results of a Map that broke", func(*bucket) {}, runtime, counts{"Stopped": 2}},
		{"some results of a Map that broke", func(b *bucket) { b.results(1, returned(0, contract.OutcomeReady), child(1, "ABORTED", nil)) }, runtime, counts{"Ready": 1, "Stopped": 1}},
	}
	for _, test := range tests {
		b := planned([]int{2}, nil)
		test.left(b)
		in := afterWave(1, 1)
		if test.broke != "" {
			in.Error = &contract.StateError{Error: test.broke, Cause: strings.Repeat("because ", 1_000)}
		}
		next := review(t, b, in, now)
		if !maps.Equal(next.Ended.Counts, test.want) || next.Ended.Failed != test.want["Failed"] {
			t.Errorf("%s: %v, %d failed", test.name, next.Ended.Counts, next.Ended.Failed)
		}
		broke := next.Ended.Broke
		if (broke != nil) != (test.broke != "") || broke != nil && (broke.Error != test.broke || len(broke.Cause) > maxCause+len(" ...")) {
			t.Errorf("%s: broke: %+v", test.name, broke)
		}
	}
}

// After the bake time the targets that succeeded are looked at again.
func TestCheck(t *testing.T) {
	b := planned([]int{3, 1}, func(run *contract.Run, layout *contract.Layout) { run.MaxFailures, layout.Waves[0].BakeSeconds = 1, 60 })
	b.results(1, returned(2, contract.OutcomeReady), returned(0, contract.OutcomeUnchanged), failed(1, fault.Conflict))
	wait := review(t, b, afterWave(1, 1), now)
	if wait.Action != contract.ActionWait || !wait.Until.Equal(now.Add(time.Minute)) || wait.Phase.Kind != contract.PhaseCheck {
		t.Fatalf("next is %+v", wait)
	}
	check := review(t, b, contract.ReviewInput{Execution: execution, Name: "nightly", Last: wait}, now.Add(time.Minute))
	if check.Action != contract.ActionWork || check.Phase.Kind != contract.PhaseCheck || check.Total != 2 || check.Ended != nil {
		t.Fatalf("after the bake time %+v", check)
	}
	want := []contract.TargetItem{
		{Target: targetOf(0), Overrides: []int{0}, Stood: stood(0)},
		{Target: targetOf(2), Overrides: []int{2}, Stood: stood(2)},
	}
	if got := b.items(t, check.ItemsKey); !reflect.DeepEqual(got, want) {
		t.Errorf("the items are %+v", got)
	}
	b.results(2, returned(0, contract.OutcomePassed), failed(2, fault.Regressed))
	end := review(t, b, contract.ReviewInput{Execution: execution, Name: "nightly", Last: check}, now.Add(2*time.Minute))
	if end.Action != contract.ActionReport || end.Ended.Failed != 1 || end.Ended.Kind != contract.PhaseCheck || end.Reason != "2 failed, and 1 may" {
		t.Errorf("after the check %+v", end)
	}
}

// The targets that have an entry in the journal are rolled back, wave by wave.
func TestRollback(t *testing.T) {
	b := planned([]int{2, 2, 2}, func(run *contract.Run, _ *contract.Layout) { run.OnFailure = contract.OnFailureRollback })
	b.results(1, returned(0, contract.OutcomeReady), returned(1, contract.OutcomeReady))
	if next := review(t, b, afterWave(1, 1), now); next.Phase.Wave != 2 {
		t.Fatalf("next is %+v", next)
	}
	b.results(2, failed(2, fault.ResourceFailed), failed(3, fault.AssumeRoleDenied))
	// Target 1 had nothing to be changed, and 3 was not touched: what a rollback writes
	// down does not count.
	b.journaled(contract.PhaseWave, 0, 2)
	b.journaled(contract.PhaseWave, 2, 1)
	b.journaled(contract.PhaseRollback, 3, 1)
	second := review(t, b, afterWave(2, 2), now)
	if second.Action != contract.ActionWork || second.Phase.Kind != contract.PhaseRollback || second.Phase.Wave != 2 || second.Total != 1 {
		t.Fatalf("after the failure %+v", second)
	}
	if got := b.items(t, second.ItemsKey); !reflect.DeepEqual(got, []contract.TargetItem{{Target: targetOf(2), Overrides: []int{2}}}) {
		t.Errorf("the items are %+v", got)
	}
	b.results(3, returned(2, contract.OutcomeRolledBack))
	first := review(t, b, contract.ReviewInput{Execution: execution, Name: "nightly", Last: second}, now)
	if first.Phase == nil || first.Phase.Number != 4 || first.Phase.Wave != 1 || first.Ended.Counts["RolledBack"] != 1 {
		t.Fatalf("after the first rollback %+v", first)
	}
	b.results(4, failed(0, fault.ChangedSince))
	if end := review(t, b, contract.ReviewInput{Execution: execution, Name: "nightly", Last: first}, now); end.Action != contract.ActionReport || end.Reason != "2 failed, and 0 may" {
		t.Errorf("at the end %+v", end)
	}
}

func TestApproval(t *testing.T) {
	b := planned([]int{1}, func(_ *contract.Run, layout *contract.Layout) { layout.Waves[0].Approval = true })
	in := contract.ReviewInput{Execution: execution, Name: "nightly", Last: contract.Next{Action: contract.ActionApprove, Phase: &contract.Phase{Number: 1, Kind: contract.PhaseWave, Wave: 1}}}
	in.Approval = &contract.Approval{Approved: true}
	if next := review(t, b, in, now); next.Action != contract.ActionWork || !next.Approved || next.Ended != nil {
		t.Errorf("after a yes %+v", next)
	}
	in.Approval = &contract.Approval{Message: "not on a Friday"}
	if next := review(t, b, in, now); next.Action != contract.ActionReport || !strings.Contains(next.Reason, "not on a Friday") {
		t.Errorf("after a no %+v", next)
	}
}

func TestStopMark(t *testing.T) {
	b := planned([]int{1, 1}, nil)
	b.results(1, returned(0, contract.OutcomeReady))
	b.objects[prefix+runs.Stop] = ""
	if next := review(t, b, afterWave(1, 1), now); next.Action != contract.ActionReport || next.Reason != "somebody stopped the rollout" || next.Ended == nil {
		t.Errorf("got %+v", next)
	}
}

// Wherever a call of review dies, the next one does and says the same.
func TestCalledAgain(t *testing.T) {
	prepared := func() *bucket {
		b := planned([]int{2, 1}, func(run *contract.Run, _ *contract.Layout) { run.OnFailure = contract.OnFailureRollback })
		b.results(1, returned(0, contract.OutcomeReady), failed(1, fault.ResourceFailed))
		b.journaled(contract.PhaseWave, 0, 1)
		b.journaled(contract.PhaseWave, 1, 1)
		return b
	}
	undisturbed := prepared()
	want := review(t, undisturbed, afterWave(1, 1), now)
	for fails := 1; fails <= undisturbed.calls; fails++ {
		b := prepared()
		b.fails = fails
		_, err := Reviewer{store: b, now: func() time.Time { return now }}.Handle(t.Context(), afterWave(1, 1))
		if fault.NameOf(err) != fault.AWSUnavailable {
			t.Errorf("call %d: %v", fails, err)
		}
		if got := review(t, b, afterWave(1, 1), now); !reflect.DeepEqual(got, want) || !maps.Equal(b.objects, undisturbed.objects) {
			t.Errorf("after call %d: %+v", fails, got)
		}
	}
	if got := review(t, undisturbed, afterWave(1, 1), now.Add(time.Hour)); !reflect.DeepEqual(got, want) {
		t.Errorf("an hour later: %+v", got)
	}
}

// slow is a bucket in which another attempt of the same call writes first.
type slow struct {
	*bucket
	other func()
}

func (s slow) PutJSONOnce(ctx context.Context, key string, value any) (bool, error) {
	s.other()
	return s.bucket.PutJSONOnce(ctx, key, value)
}

// What the first of two attempts saw counts for both.
func TestTwoAttemptsAtOnce(t *testing.T) {
	b := planned([]int{1}, func(_ *contract.Run, layout *contract.Layout) { layout.Waves[0].BakeSeconds = 600 })
	b.results(1, returned(0, contract.OutcomeReady))
	var first contract.Next
	second := review(t, slow{b, func() { first = review(t, b, afterWave(1, 1), now) }}, afterWave(1, 1), now.Add(time.Minute))
	if !reflect.DeepEqual(first, second) || !second.Until.Equal(now.Add(10*time.Minute)) {
		t.Errorf("first  %+v\nsecond %+v", first, second)
	}
}
