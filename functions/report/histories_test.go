package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// Random fleets with random histories: every target is reported once, in its place,
// the outcomes add up, and none that was touched is reported as untouched.
func TestHistories(t *testing.T) {
	for seed := range uint64(500) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := newHistory(rand.New(rand.NewPCG(seed, 0)))
			answer, full := report(t, h.bucket, nil)
			expectWhole(t, h.bucket, answer, full)
			failures := 0
			for i, result := range full {
				h.expect(t, i, result)
				if !result.Outcome.Succeeded() {
					failures++
				}
			}
			cut := answer.Counts[contract.OutcomeNotStarted]+answer.Counts[contract.OutcomeStopped] > 0
			succeeded := h.broken == nil && h.written && !cut && failures <= h.maxFailures
			if succeeded != (answer.Status == contract.StatusSucceeded) {
				t.Errorf("%d of %d allowed failures, written %t, broken %v: %s, %s", failures, h.maxFailures, h.written, h.broken, answer.Status, answer.Message)
			}
		})
	}
}

// history is an execution as it happened, and the bucket as it left it.
type history struct {
	bucket      bucket
	maxFailures int
	broken      *contract.StateError
	// written says that the Map's results are there.
	written bool
	targets []past
}

// past is what happened to one target.
type past struct {
	// sent says that the function noted that it was about to change the target, and
	// did what it noted that the change did; nil where it could not.
	sent bool
	did  *contract.Applied
	// failed is the error that ended the child, and marked says that it could leave
	// its mark.
	failed fault.Name
	marked bool
	// child is what the Map wrote about it; odd says that it cannot be read.
	child map[string]any
	odd   bool
}

func newHistory(random *rand.Rand) history {
	chance := func(percent int) bool { return random.IntN(100) < percent }
	h := history{maxFailures: random.IntN(4), written: chance(80)}
	if chance(20) {
		h.broken = &contract.StateError{Error: "States.ResultWriterFailed"}
	}
	oddEntries := chance(30)
	for i := range 1 + random.IntN(12) {
		p := newPast(i, chance)
		if oddEntries && p.child != nil && chance(30) {
			p.odd = true
			odd := []map[string]any{{"Input": "{"}, {"Output": "[", "Status": "SUCCEEDED"}, {"Status": "?"}, {"Error": 5}}
			maps.Copy(p.child, odd[random.IntN(len(odd))])
		}
		h.targets = append(h.targets, p)
	}
	h.bucket = planned(len(h.targets), budget(h.maxFailures))
	files := map[string][]any{}
	for i, p := range h.targets {
		switch {
		case p.did != nil:
			after := did(p.did.Change)
			h.bucket.journaled(i, after)
		case p.sent:
			h.bucket.journaled(i, nil)
		}
		if p.marked {
			h.bucket.put(failedMark(i), map[string]any{"error": p.failed})
		}
		if p.child != nil {
			status := []string{"SUCCEEDED", "FAILED", "PENDING"}[random.IntN(3)] // the file does not matter
			files[status] = append(files[status], p.child)
		}
	}
	if chance(20) {
		h.bucket[prefix+runs.Stop] = ""
	}
	if h.written {
		h.bucket.wrote(1, files)
	}
	if h.written || h.broken != nil {
		h.bucket.reviewed(wave(1, 1), h.broken)
	}
	return h
}

// newPast makes up how far a target came, step by step.
func newPast(i int, chance func(percent int) bool) (p past) {
	if chance(15) { // not started
		if chance(50) {
			p.child = pending(i)
		} else if chance(50) {
			p.child = returned(contract.Result{Target: targetOf(i), Outcome: contract.OutcomeNotStarted}, i)
		}
		return p
	}
	if p.sent = chance(75); p.sent && chance(75) {
		changes := []contract.Change{contract.Created, contract.Configured, contract.Unchanged}
		p.did = &contract.Applied{Change: changes[i%len(changes)]}
	}
	switch {
	case chance(20):
		p.child = childOf(i, "ABORTED", nil)
	case chance(5): // nothing was written about it
	case p.did != nil && chance(70):
		p.child = returned(contract.Result{Target: targetOf(i), Outcome: contract.OutcomeReady, Change: p.did.Change}, i)
	default:
		p.failed = []fault.Name{fault.Conflict, fault.ReadyTimeout, fault.Internal}[i%3]
		p.marked = chance(90)
		p.child = failed(i, p.failed, "no")
	}
	return p
}

// expect compares a target's result with its past.
func (h history) expect(t *testing.T, i int, got contract.Result) {
	t.Helper()
	p := h.targets[i]
	switch {
	case p.did != nil && got.Change != p.did.Change:
		t.Errorf("%s was %s, the result is %+v", got.Target, p.did.Change, got)
	case p.sent && p.did == nil && (got.Change != contract.ChangeUnknown || got.ChangeUnknown == ""):
		t.Errorf("%s may have been changed, the result is %+v", got.Target, got)
	case !p.sent && got.Change != contract.ChangeNone && got.Outcome != contract.OutcomeNotStarted:
		t.Errorf("%s was not touched, the result is %+v", got.Target, got)
	}
	if p.odd && h.written && !p.marked && got.Error != string(fault.ResultUnreadable) {
		t.Errorf("%s: its result cannot be read, and yet is %+v", got.Target, got)
	}
	if p.child == nil || p.odd || !h.written {
		return
	}
	status := p.child["Status"]
	want := map[any][]contract.Outcome{
		"SUCCEEDED": {contract.OutcomeReady, contract.OutcomeNotStarted},
		"FAILED":    {contract.OutcomeFailed, contract.OutcomeTimedOut},
		"ABORTED":   {contract.OutcomeStopped},
		"PENDING":   {contract.OutcomeNotStarted},
	}
	if !slices.Contains(want[status], got.Outcome) || got.Error != string(p.failed) {
		body, _ := json.Marshal(p.child) // of texts: cannot fail
		t.Errorf("%s: got %+v of %s", got.Target, got, body)
	}
}
