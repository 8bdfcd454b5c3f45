package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/phases"
	"github.com/crossapply/crossapply/shared/runs"
)

// Random rollouts, whose phases are decided as review decides them, and which end by
// themselves or are stopped anywhere: every target is reported once, in its place, with
// how it truly ended as far as anything can tell; and none that was touched is
// reported as untouched.
func TestHistories(t *testing.T) {
	seen := map[contract.Outcome]int{}
	for seed := range uint64(1_000) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHistory(t, rand.New(rand.NewPCG(seed, 0)))
			answer, full := reportOf(t, h.bucket, contract.ReportInput{Execution: execution, Last: h.last, RolloutError: h.broken})
			expectWhole(t, h.bucket, answer, full)
			for i, result := range full {
				h.expect(t, i, result)
				seen[result.Outcome]++
			}
			h.expectStatus(t, answer)
		})
	}
	for _, outcome := range []contract.Outcome{"Ready", "RolledBack", "Skipped", "Failed", "TimedOut", "Stopped", "NotStarted"} {
		if seen[outcome] < 50 {
			t.Errorf("only %d targets ended as %s", seen[outcome], outcome)
		}
	}
}

// history is an execution as it happened, and the bucket as it left it.
type history struct {
	t      *testing.T
	random *rand.Rand
	bucket bucket
	run    contract.Run
	layout contract.Layout
	// last is what was decided last where the execution has come to its end, and broken
	// the error of a review that failed.
	last   *contract.Next
	broken *contract.StateError
	played []played
}

// played is a phase as it happened.
type played struct {
	contract.Phase
	// written says that the Map wrote its results, and broke is what ended it otherwise.
	written bool
	broke   *contract.StateError
	pasts   map[int]past
}

// past is what happened to one target in one phase.
type past struct {
	// sent says that the function noted that it was about to change the target, and
	// did what it noted that the change did; empty where it could not.
	sent bool
	did  contract.Change
	// outcome is how the target ended, and name the error; marked says that it could
	// leave its mark.
	outcome contract.Outcome
	name    fault.Name
	marked  bool
	// child is what the Map wrote about it; odd says that it cannot be read.
	child map[string]any
	odd   bool
}

func (h *history) chance(percent int) bool { return h.random.IntN(100) < percent }

func newHistory(t *testing.T, random *rand.Rand) *history {
	h := &history{t: t, random: random}
	for i := range 1 + random.IntN(3) {
		wave := contract.PlannedWave{Name: fmt.Sprint(i + 1), Total: random.IntN(5), Approval: h.chance(20)}
		if h.chance(40) {
			wave.BakeSeconds = 60
		}
		if h.chance(40) {
			most := random.IntN(3)
			wave.MaxFailures = &most
		}
		h.layout.Waves = append(h.layout.Waves, wave)
	}
	h.layout.Waves[0].Total++
	policies := []contract.OnFailure{contract.OnFailureStop, contract.OnFailureContinue, contract.OnFailureRollback, contract.OnFailureRollback}
	h.bucket = plannedWaves(h.layout, func(run *contract.Run) {
		run.MaxFailures, run.OnFailure = random.IntN(4), policies[random.IntN(len(policies))]
	})
	h.run, h.layout = h.bucket.plan().Run, h.bucket.layout()
	h.play()
	return h
}

// play goes through the phases, until the execution ends, or is stopped the hard way.
func (h *history) play() {
	state := phases.State{Plan: h.bucket.plan(), Layout: h.layout, Now: time.Now()}
	for {
		state.Touched = make([]int, len(h.layout.Waves))
		for i, target := range h.layout.Targets {
			if _, touched := h.bucket[journalKey(i)]; touched {
				state.Touched[target.Wave-1]++
			}
		}
		next := phases.Decide(state)
		state.Last, state.Approval = &next, nil
		switch next.Action {
		case contract.ActionReport:
			h.last = &next
			return
		case contract.ActionApprove:
			state.Approval = &contract.Approval{Approved: h.chance(80)}
		case contract.ActionWait:
			state.Now = *next.Until
		case contract.ActionWork:
			if h.chance(10) {
				h.bucket[prefix+runs.Stop], state.Stopped = "", true
			}
			if !h.work(*next.Phase) {
				return
			}
			var ended contract.EndedPhase
			if err := h.bucket.GetJSON(h.t.Context(), prefix+runs.EndedPhase(next.Phase.Number), &ended); err != nil {
				h.t.Fatal(err)
			}
			state.Ended = append(state.Ended, ended)
		}
	}
}

// work plays a phase, and says whether it came to its end.
func (h *history) work(p contract.Phase) bool {
	now := played{Phase: p, pasts: map[int]past{}}
	files := map[string][]any{}
	for i, target := range h.layout.Targets {
		if target.Wave != p.Wave || !h.isItem(p, i) {
			continue
		}
		one := h.newPast(p, i)
		now.pasts[i] = one
		if one.child != nil {
			status := []string{"SUCCEEDED", "FAILED", "PENDING"}[h.random.IntN(3)] // the file does not matter
			files[status] = append(files[status], one.child)
		}
	}
	reaches := h.random.IntN(100)
	switch {
	case reaches < 8: // stopped while the Map ran
	case reaches < 14:
		now.broke = &contract.StateError{Error: "States.ResultWriterFailed"}
		h.bucket.reviewed(p, now.broke)
	default:
		now.written = true
		h.bucket.wrote(p.Number, files)
	}
	h.played = append(h.played, now)
	switch {
	case now.broke != nil:
		return true
	case now.written && reaches >= 22:
		h.bucket.reviewed(p, nil)
		return true
	case h.chance(50): // not reviewed, because review failed or the execution was stopped
		h.broken = &contract.StateError{Error: "Lambda.Unknown"}
	}
	return false
}

// isItem says whether a target of the wave is worked on in a phase.
func (h *history) isItem(p contract.Phase, i int) bool {
	_, touched := h.bucket[journalKey(i)]
	switch p.Kind {
	case contract.PhaseCheck:
		in, _ := h.find(contract.PhaseWave, i)
		return in.written && !in.pasts[i].odd && in.pasts[i].child != nil && in.pasts[i].outcome.Succeeded()
	case contract.PhaseRollback:
		return touched
	}
	return true
}

// find returns the phase of a kind in which a target was worked on.
func (h *history) find(kind contract.PhaseKind, i int) (played, bool) {
	for _, p := range h.played {
		if _, there := p.pasts[i]; there && p.Kind == kind {
			return p, true
		}
	}
	return played{}, false
}

// newPast makes up how far a target came in a phase, step by step.
func (h *history) newPast(p contract.Phase, i int) (one past) {
	one.outcome = contract.OutcomeNotStarted
	if h.chance(10) { // not started
		if h.chance(50) {
			one.child = pending(i)
		}
		return one
	}
	if p.Kind != contract.PhaseCheck {
		h.change(&one, p, i)
	}
	complete := p.Kind == contract.PhaseCheck || one.did != ""
	good := map[contract.PhaseKind]contract.Outcome{contract.PhaseWave: "Ready", contract.PhaseCheck: "Ready", contract.PhaseRollback: "RolledBack"}
	switch {
	case h.chance(10):
		one.outcome, one.child = contract.OutcomeStopped, childOf(i, "ABORTED", nil)
	case complete && h.chance(70):
		one.outcome = good[p.Kind]
		one.child = returned(contract.Result{Target: targetOf(i), Outcome: one.outcome, Change: one.did}, i)
	case !one.sent && h.chance(30):
		one.outcome, one.name = contract.OutcomeSkipped, fault.ClusterUnreachable
		one.child = returned(contract.Result{Target: targetOf(i), Outcome: one.outcome, Error: string(one.name)}, i)
	default:
		one.outcome, one.name, one.marked = contract.OutcomeFailed, []fault.Name{fault.Conflict, fault.ReadyTimeout, fault.Internal}[i%3], h.chance(90)
		if one.name == fault.ReadyTimeout {
			one.outcome = contract.OutcomeTimedOut
		}
		one.child = failed(i, one.name, "no")
		if one.marked {
			h.bucket.put(markOf(p.Number, i), map[string]any{"error": one.name})
		}
	}
	if h.chance(5) {
		odd := []map[string]any{{"Input": "{"}, {"Output": "[", "Status": "SUCCEEDED"}, {"Status": "?"}, {"Error": 5}}
		one.odd = true
		maps.Copy(one.child, odd[h.random.IntN(len(odd))])
	}
	return one
}

// change plays what apply does around a change, unless the function dies.
func (h *history) change(one *past, p contract.Phase, i int) {
	if one.sent = h.chance(75); !one.sent {
		return
	}
	key := journal.Key(h.run, p, targetOf(i), 0)
	entry, _, err := journal.Begin(h.t.Context(), h.bucket, key, journal.Entry{Operation: p.Operation})
	if err != nil {
		h.t.Fatal(err)
	}
	if h.chance(20) {
		return
	}
	one.did = []contract.Change{contract.Created, contract.Configured, contract.Unchanged}[h.random.IntN(3)]
	entry.After = did(one.did)
	if err := journal.End(h.t.Context(), h.bucket, key, entry); err != nil {
		h.t.Fatal(err)
	}
}

// readable says that the Map's results tell how a target ended.
func (p played) readable(i int) bool {
	one := p.pasts[i]
	return p.written && one.child != nil && !one.odd
}

// expect compares a target's result with its pasts.
func (h *history) expect(t *testing.T, i int, got contract.Result) {
	t.Helper()
	in, started := h.find(contract.PhaseWave, i)
	if !started {
		if got.Outcome != contract.OutcomeNotStarted || h.last != nil && got.Message != h.last.Reason {
			t.Errorf("%s was never started: %+v", got.Target, got)
		}
		return
	}
	one := in.pasts[i]
	h.expectChange(t, one, i, got)
	if !in.readable(i) {
		if _, back := h.find(contract.PhaseRollback, i); in.written && one.odd && !one.marked && !back && got.Error == "" {
			t.Errorf("%s: its result cannot be read, and yet is %+v", got.Target, got)
		}
		return
	}
	want := one.outcome
	if want == contract.OutcomeNotStarted && one.sent {
		want = contract.OutcomeStopped
	}
	name, from := one.name, contract.Outcome("")
	for _, kind := range []contract.PhaseKind{contract.PhaseCheck, contract.PhaseRollback} {
		later, there := h.find(kind, i)
		if !there {
			continue
		}
		after := later.pasts[i]
		if !later.readable(i) {
			return // what can be said then has tests of its own
		}
		switch {
		case kind == contract.PhaseCheck && (after.outcome.Failed() || after.outcome == contract.OutcomeSkipped):
			want, name = after.outcome, after.name
		case kind == contract.PhaseRollback && after.outcome == contract.OutcomeRolledBack:
			want, from = after.outcome, want
		case kind == contract.PhaseRollback && after.outcome == contract.OutcomeNotStarted:
			if after.sent || !strings.Contains(got.Message, "it was not rolled back") {
				t.Errorf("%s was not rolled back: %+v", got.Target, got)
			}
		case kind == contract.PhaseRollback:
			want, name = after.outcome, after.name
			if !strings.Contains(got.Message, "before its rollback it had ended as ") {
				t.Errorf("%s was rolled back in vain: %+v", got.Target, got)
			}
		}
	}
	if got.Outcome != want || got.Error != string(name) || got.RolledBackFrom != from {
		t.Errorf("%s: got %+v, want %s (%s) from %q", got.Target, got, want, name, from)
	}
}

// expectChange compares what a result says of the change with what happened.
func (h *history) expectChange(t *testing.T, one past, i int, got contract.Result) {
	t.Helper()
	back, _ := h.find(contract.PhaseRollback, i)
	switch {
	case back.pasts[i].outcome == contract.OutcomeStopped || got.Outcome == contract.OutcomeStopped && back.pasts != nil:
		if got.Change == contract.ChangeNone || got.Change == "" {
			t.Errorf("%s was touched, and its rollback stopped: %+v", got.Target, got)
		}
	case one.did != "" && got.Change != one.did:
		t.Errorf("%s was %s, the result is %+v", got.Target, one.did, got)
	case one.sent && one.did == "" && (got.Change != contract.ChangeUnknown || got.ChangeUnknown == ""):
		t.Errorf("%s may have been changed, the result is %+v", got.Target, got)
	case !one.sent && got.Change != contract.ChangeNone && got.Outcome != contract.OutcomeNotStarted:
		t.Errorf("%s was not touched, the result is %+v", got.Target, got)
	}
}

// unchecked says that a check did not look at all of its targets, as far as review could
// tell.
func (h *history) unchecked(t *testing.T, p played) bool {
	t.Helper()
	if p.Kind != contract.PhaseCheck {
		return false
	}
	var ended contract.EndedPhase
	if err := h.bucket.GetJSON(t.Context(), prefix+runs.EndedPhase(p.Number), &ended); err != nil {
		return true // it was not even reviewed
	}
	return cutShort(ended.Counts)
}

// expectStatus expects that an execution succeeded which came to its end by itself, with
// all targets, within all budgets.
func (h *history) expectStatus(t *testing.T, answer contract.Answer) {
	t.Helper()
	whole := h.last != nil && h.last.Reason != "somebody stopped the rollout" && h.broken == nil && !cutShort(answer.Counts)
	failures := answer.Counts[contract.OutcomeFailed] + answer.Counts[contract.OutcomeTimedOut]
	for i, wave := range h.layout.Waves {
		own := func(p played) bool {
			return p.Wave == i+1 && (p.broke != nil || p.Kind == contract.PhaseRollback || h.unchecked(t, p))
		}
		if slices.ContainsFunc(h.played, own) {
			whole = false
		}
		if len(answer.Waves) > 0 && wave.MaxFailures != nil && answer.Waves[i].Counts["Failed"]+answer.Waves[i].Counts["TimedOut"] > *wave.MaxFailures {
			whole = false
		}
		if len(answer.Waves) == 0 && wave.MaxFailures != nil && failures > *wave.MaxFailures {
			whole = false
		}
	}
	if succeeded := whole && failures <= h.run.MaxFailures; succeeded != (answer.Status == contract.StatusSucceeded) {
		t.Errorf("%s: %s, want success: %t", answer.Status, answer.Message, succeeded)
	}
}
