package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mapresults"
	"github.com/crossapply/crossapply/shared/runs"
)

// Messages of targets that have none of their own.
const (
	neverSeen   = "nothing shows that this target was started"
	unfinished  = "this target was worked on, and nothing says yet how it ended"
	lostResults = "the rollout's results could not be written; how this target ended is unknown"
	notNoted    = "the target failed; what it said was not noted"

	unfinishedRollback = "what was changed was being rolled back, and nothing says yet how that ended"
)

// readsAtOnce bounds how many entries of the journal and objects that were found, each
// of them a whole object, are read and held at once.
const readsAtOnce = 16

// results returns one result per target, in the order of the plan, and behind them the
// accounts whose clusters could not be listed.
func (r rollout) results(ctx context.Context) []contract.Result {
	results := make([]contract.Result, len(r.layout.Targets))
	var reads errgroup.Group
	reads.SetLimit(readsAtOnce)
	for i, target := range r.layout.Targets {
		reads.Go(func() error {
			results[i] = r.result(ctx, target)
			return nil
		})
	}
	_ = reads.Wait() // what cannot be read is in the results
	for i := range r.phases {
		r.phases[i].children = nil // they take as much memory again
	}
	for _, account := range r.layout.Accounts {
		account.Change = cmp.Or(account.Change, contract.ChangeNone)
		results = append(results, account)
	}
	return results
}

// result returns how one target ended, and whether it was touched.
func (r rollout) result(ctx context.Context, target contract.PlannedTarget) contract.Result {
	result := contract.Result{Target: target.Target, Outcome: contract.OutcomePlanned}
	if !r.plan.Preview {
		result = r.touched(ctx, r.inWave(ctx, target))
		result = r.afterCheck(ctx, target, result)
		result = r.afterRollback(ctx, target, result)
	}
	if len(r.layout.Waves) > 1 {
		result.Wave = r.layout.Waves[target.Wave-1].Name
	}
	result.Overrides = target.Overrides
	return result
}

// phase returns the phase of a kind on the targets of a wave; nil where there was none.
func (r rollout) phase(kind contract.PhaseKind, wave int) *phase {
	for i, p := range r.phases {
		if p.Kind == kind && p.Wave == wave {
			return &r.phases[i]
		}
	}
	return nil
}

// inWave says how a target ended in its wave.
func (r rollout) inWave(ctx context.Context, target contract.PlannedTarget) contract.Result {
	p := r.phase(contract.PhaseWave, target.Wave)
	if p == nil {
		return contract.Result{Target: target.Target, Outcome: contract.OutcomeNotStarted, Message: r.whyNotStarted()}
	}
	if result, known := r.traced(ctx, p, target.Target); known {
		return result
	}
	result := contract.Result{Target: target.Target, Outcome: contract.OutcomeNotStarted}
	switch {
	case p.written || p.Broke.NothingStarted():
		result.Message = mapresults.NotStarted
	case p.Broke != nil || r.broke != nil && p.begun:
		result.Outcome, result.Message = contract.OutcomeStopped, lostResults
	case p.ended:
		return mapresults.Unreadable(target.Target, errors.New("there are no results at all"))
	default:
		// It may have got as far as to have its cluster looked up, which changes nothing.
		result.Message = r.whyNotStarted()
	}
	return result
}

// whyNotStarted says why the phases that have not begun were not started.
func (r rollout) whyNotStarted() string {
	if r.next.Action == contract.ActionReport && r.next.Reason != "" {
		return r.next.Reason
	}
	return neverSeen
}

// traced says how a target ended in a phase: by the Map's results, or, where they do
// not mention it, by what it noted itself.
func (r rollout) traced(ctx context.Context, p *phase, target contract.Target) (result contract.Result, known bool) {
	if result, known = p.children[target]; known {
		return result, true
	}
	if mark := r.plan.Run.Prefix + runs.PhaseFailed(p.Number) + target.String(); r.keys.has(mark) {
		return r.marked(ctx, target, mark), true
	}
	if len(p.lost) > 0 {
		return mapresults.Unreadable(target, fmt.Errorf("it is not there, and %s", p.lost[0])), true
	}
	return contract.Result{}, false
}

// marked takes from the mark of a target that failed with which error it did.
func (r rollout) marked(ctx context.Context, target contract.Target, key string) contract.Result {
	var mark struct {
		Error string `json:"error"`
	}
	err := r.store.GetJSON(ctx, key, &mark)
	result := contract.Result{Target: target, Outcome: mapresults.OutcomeOf(mark.Error), Error: mark.Error, Message: notNoted}
	if err != nil {
		result.Message = fault.Shorten(fmt.Sprintf("the target failed; why cannot be read: %v", err), maxMessage)
	}
	return result
}

// afterCheck puts the error of a check that failed in place of how a target ended in
// its wave. That it was touched stays.
func (r rollout) afterCheck(ctx context.Context, target contract.PlannedTarget, result contract.Result) contract.Result {
	p := r.phase(contract.PhaseCheck, target.Wave)
	if p == nil || !result.Outcome.Succeeded() {
		return result
	}
	check, known := r.traced(ctx, p, target.Target)
	if known && (check.Outcome.Failed() || check.Outcome == contract.OutcomeSkipped) {
		result.Outcome, result.Error, result.Message, result.Proof = check.Outcome, check.Error, check.Message, ""
	}
	return result
}

// afterRollback adds to how a target ended what became of it when its wave was rolled
// back.
func (r rollout) afterRollback(ctx context.Context, target contract.PlannedTarget, result contract.Result) contract.Result {
	p := r.phase(contract.PhaseRollback, target.Wave)
	if p == nil || !r.journaled(forward, target.Target) {
		return result
	}
	switch back := r.rollback(ctx, p, target.Target); {
	case back.Outcome == contract.OutcomeRolledBack:
		result.Outcome, result.RolledBackFrom, result.Proof = back.Outcome, result.Outcome, ""
	case back.Outcome == contract.OutcomeNotStarted:
		result.Message = sentences(result.Message, "it was not rolled back", back.Message)
	case back.Outcome == contract.OutcomeStopped:
		result = unknown(result, cmp.Or(back.ChangeUnknown, back.Message))
		fallthrough
	case !back.Outcome.Succeeded():
		result.Message = sentences(back.Message, before(result))
		result.Outcome, result.Error, result.Proof = back.Outcome, back.Error, ""
	}
	return result
}

// rollback says how the rollback of a target ended that was touched.
func (r rollout) rollback(ctx context.Context, p *phase, target contract.Target) contract.Result {
	back, known := r.traced(ctx, p, target)
	switch {
	case known:
		return back
	case r.journaled(backward, target):
		return contract.Result{Outcome: contract.OutcomeStopped, Message: unfinishedRollback}
	case p.Broke != nil && !p.Broke.NothingStarted():
		return contract.Result{Outcome: contract.OutcomeStopped, Message: lostResults}
	}
	return contract.Result{Outcome: contract.OutcomeNotStarted}
}

// before says how a target had ended before its rollback failed.
func before(result contract.Result) string {
	said := "before its rollback it had ended as " + string(result.Outcome)
	if result.Error != "" {
		said += " with " + result.Error
	}
	if result.Message != "" {
		said += ": " + result.Message
	}
	return said
}

// sentences joins those that there are.
func sentences(said ...string) string {
	return strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), "; ")
}
