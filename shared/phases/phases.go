// Package phases decides what an execution does next: work on the targets of a
// phase, wait until a time, ask for an approval, or end with its report. A phase is
// a wave, the check after its bake time, or a rollback.
//
// The decision is a pure function of the plan and of how the phases before ended:
// a rollout policy is read, changed and tested here, and the definition of the state
// machine knows none.
package phases

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
	"github.com/crossapply/crossapply/shared/window"
)

// State is what the decision is made from.
type State struct {
	Plan   contract.PlanOutput
	Layout contract.Layout
	// Ended are the phases that have ended, in order.
	Ended []contract.EndedPhase
	// Last is what was decided before, and nil for the first decision.
	Last *contract.Next
	// Approval is the answer, where Last asked for one.
	Approval *contract.Approval
	// Stopped says that somebody wrote the stop mark.
	Stopped bool
	// Touched is how many targets of each wave, in the order of the waves, have an entry
	// in the journal. It is read only where targets are rolled back: see [RollsBack].
	Touched []int
	Now     time.Time
}

// Decide returns what to do next.
func Decide(s State) contract.Next {
	next := s.next()
	next.Counts = s.counts()
	return next
}

// Failed says whether the rollout as a whole failed, and why, by what its phases
// returned and by the last decision, where there is one: a budget was exceeded, a Map
// broke, or waves were not started or not checked, because an approval was refused or
// somebody stopped the rollout.
func Failed(s State) (reason string, failed bool) {
	if reason, ends := s.ends(); ends {
		return reason, true
	}
	for i := range s.Layout.Waves {
		if reason, over := s.overBudget(i + 1); over {
			return reason, true // it went on all the same
		}
	}
	if s.Last != nil && s.Last.Action == contract.ActionReport && !s.Plan.Preview && s.current() > 0 {
		return s.Last.Reason, true
	}
	return s.unchecked()
}

// unchecked says whether targets were not looked at after their bake time: as they
// succeeded before, nothing else tells.
func (s State) unchecked() (reason string, are bool) {
	for _, phase := range s.Ended {
		if missed := phase.Counts[contract.OutcomeNotStarted] + phase.Counts[contract.OutcomeStopped]; phase.Kind == contract.PhaseCheck && missed > 0 {
			return fmt.Sprintf("%d targets of wave %q were not checked after its bake time", missed, phase.Name), true
		}
	}
	return "", false
}

// RollsBack says that what was changed is rolled back, so that Touched is needed.
func RollsBack(s State) bool {
	_, ends := s.ends()
	return ends && s.Plan.Run.OnFailure == contract.OnFailureRollback
}

func (s State) next() contract.Next {
	if s.Plan.Preview {
		return report("the request is for the plan alone")
	}
	next := s.forward()
	if reason, ends := s.ends(); ends {
		next = s.backward(reason)
	}
	if s.Stopped && next.Action != contract.ActionReport {
		return report("somebody stopped the rollout")
	}
	return next
}

// forward goes on with the waves, in order.
func (s State) forward() contract.Next {
	number := s.current()
	if number == 0 {
		return report("every wave has ended")
	}
	if ended := s.ended(contract.PhaseWave, number); ended != nil {
		return s.check(number, *ended)
	}
	return s.start(number)
}

// current is the number of the first wave that has not come to its end, with its check;
// 0 where there is none.
func (s State) current() int {
	for i, wave := range s.Layout.Waves {
		ended := s.ended(contract.PhaseWave, i+1)
		switch {
		case wave.Total == 0: // passed over
		case ended == nil, s.bakes(*ended) && s.ended(contract.PhaseCheck, i+1) == nil:
			return i + 1
		}
	}
	return 0
}

// start starts a wave, once it is approved and its window is open.
func (s State) start(number int) contract.Next {
	wave := s.Layout.Waves[number-1]
	next := s.phase(contract.PhaseWave, number, s.Plan.Run.Operation, wave.Total)
	next.Phase.MaxFailures = s.budget(number)
	next.Approved = s.approved(number)
	if wave.Approval && !next.Approved {
		if s.asked(number) {
			return report(s.refusal(wave))
		}
		next.Action, next.TimeoutSeconds = contract.ActionApprove, s.Layout.ApprovalTimeoutSeconds
		next.Reason = fmt.Sprintf("wave %q needs an approval", wave.Name)
		return next
	}
	switch opens, err := window.Next(wave.Window, s.Now); {
	case err != nil:
		return report(fmt.Sprintf("wave %q cannot start: %v", wave.Name, err))
	case opens.After(s.Now):
		return wait(next, opens, fmt.Sprintf("the window of wave %q opens at", wave.Name))
	}
	next = s.work(next, fmt.Sprintf("wave %q is next", wave.Name))
	next.ItemsKey = wave.ItemsKey
	if s.Layout.Strict {
		next.MaxConcurrency = min(wave.MaxConcurrency, 1+min(next.Phase.MaxFailures, s.Plan.Run.MaxFailures-s.allFailures()))
	}
	return next
}

// asked says that the approval of a wave was asked for last, and approved that
// somebody gave it then or before.
func (s State) asked(number int) bool {
	return s.about(number) && s.Last.Action == contract.ActionApprove
}

func (s State) approved(number int) bool {
	return s.about(number) && (s.Last.Approved || s.asked(number) && s.Approval != nil && s.Approval.Approved)
}

func (s State) about(number int) bool {
	return s.Last != nil && s.Last.Phase != nil && s.Last.Phase.Kind == contract.PhaseWave && s.Last.Phase.Wave == number
}

func (s State) refusal(wave contract.PlannedWave) string {
	reason := fmt.Sprintf("wave %q was not approved", wave.Name)
	if s.Approval != nil && s.Approval.Message != "" {
		reason += ": " + s.Approval.Message
	}
	return reason
}

// verified are the operations after which an object stays that can be looked at again.
var verified = []contract.Operation{operation.Apply, operation.Create, operation.Replace}

// bakes says whether there is a check after a wave: only of what was found Ready.
func (s State) bakes(wave contract.EndedPhase) bool {
	run := s.Plan.Run
	return s.Layout.Waves[wave.Wave-1].BakeSeconds > 0 && contract.Total(wave.Counts, contract.Outcome.Succeeded) > 0 &&
		slices.Contains(verified, run.Operation) && run.Ready.Wait && !run.Apply.DryRun
}

// check looks at a wave's targets again once they have baked: from the moment when
// this execution saw that all of them had ended.
func (s State) check(number int, ended contract.EndedPhase) contract.Next {
	wave := s.Layout.Waves[number-1]
	next := s.phase(contract.PhaseCheck, number, operation.Verify, contract.Total(ended.Counts, contract.Outcome.Succeeded))
	if until := ended.At.Add(time.Duration(wave.BakeSeconds) * time.Second); s.Now.Before(until) {
		return wait(next, until, fmt.Sprintf("wave %q bakes until", wave.Name))
	}
	return s.work(next, fmt.Sprintf("wave %q has baked for %d seconds", wave.Name, wave.BakeSeconds))
}

// backward ends an execution that must not go on: at once, or once what it changed
// is rolled back, the last wave first.
func (s State) backward(reason string) contract.Next {
	if s.Plan.Run.OnFailure != contract.OnFailureRollback {
		return report(reason)
	}
	if broke, until := s.aborted(); s.Now.Before(until) {
		next := s.phase(contract.PhaseRollback, broke.Wave, operation.Rollback, broke.Total)
		return wait(next, until, reason+"; what is still at work ends until")
	}
	for number := len(s.Touched); number > 0; number-- {
		if s.Touched[number-1] > 0 && s.ended(contract.PhaseRollback, number) == nil {
			next := s.phase(contract.PhaseRollback, number, operation.Rollback, s.Touched[number-1])
			return s.work(next, reason+"; what was changed is rolled back")
		}
	}
	return report(reason)
}

// aborted returns the wave whose Map broke, and until when what it had started may go on,
// and note a change that a rollback would not see: never, where there is none.
func (s State) aborted() (wave contract.EndedPhase, until time.Time) {
	for _, phase := range s.Ended {
		if phase.Kind == contract.PhaseWave && phase.Broke != nil && !phase.Broke.NothingStarted() {
			return phase, phase.At.Add(deployment.StillAtWork())
		}
	}
	return contract.EndedPhase{}, time.Time{}
}

// ends says whether the execution must not go on to another wave, and why.
func (s State) ends() (reason string, ends bool) {
	for _, phase := range s.Ended {
		if phase.Broke != nil && phase.Kind != contract.PhaseRollback {
			return fmt.Sprintf("the Map over the targets of wave %q broke: %s", phase.Name, phase.Broke.Error), true
		}
	}
	if failed, most := s.allFailures(), s.Plan.Run.MaxFailures; failed > most {
		return fmt.Sprintf("%d failed, and %d may", failed, most), true
	}
	if s.Plan.Run.OnFailure == contract.OnFailureContinue {
		return "", false
	}
	for i := range s.Layout.Waves {
		if reason, over := s.overBudget(i + 1); over {
			return reason, true
		}
	}
	return "", false
}

// overBudget says whether more targets of a wave failed than its own budget allows.
func (s State) overBudget(number int) (reason string, over bool) {
	wave, failed := s.Layout.Waves[number-1], s.failures(number)
	if wave.MaxFailures == nil || failed <= *wave.MaxFailures {
		return "", false
	}
	return fmt.Sprintf("%d of wave %q failed, and %d may", failed, wave.Name, *wave.MaxFailures), true
}

// budget is how many targets of a wave may fail before no other of it starts.
func (s State) budget(number int) int {
	if own := s.Layout.Waves[number-1].MaxFailures; own != nil {
		return *own
	}
	return s.Plan.Run.MaxFailures
}

// failures is how many targets of a wave failed, in it or in its check.
func (s State) failures(number int) int {
	failed := 0
	for _, phase := range s.Ended {
		if phase.Wave == number && phase.Kind != contract.PhaseRollback {
			failed += phase.Failed
		}
	}
	return failed
}

// allFailures is how many targets failed, and accounts could not be listed.
func (s State) allFailures() int {
	failed := 0
	for _, account := range s.Layout.Accounts {
		if account.Outcome.Failed() {
			failed++
		}
	}
	for i := range s.Layout.Waves {
		failed += s.failures(i + 1)
	}
	return failed
}

// counts is how many targets have ended in each outcome, before any rollback. A check
// tells how many of those that had succeeded have failed since, and not how they had
// ended: they are taken from the outcomes in their order.
func (s State) counts() map[contract.Outcome]int {
	counts := map[contract.Outcome]int{}
	for _, account := range s.Layout.Accounts {
		counts[account.Outcome]++
	}
	for _, phase := range s.Ended {
		switch phase.Kind {
		case contract.PhaseWave:
			for outcome, n := range phase.Counts {
				counts[outcome] += n
			}
		case contract.PhaseCheck:
			regress(counts, phase.Failed)
		case contract.PhaseRollback:
		}
	}
	return counts
}

// regress counts targets that had succeeded as Failed.
func regress(counts map[contract.Outcome]int, failed int) {
	for _, outcome := range contract.Outcomes() {
		if n := min(failed, counts[outcome]); n > 0 && outcome.Succeeded() {
			counts[outcome] -= n
			counts[contract.OutcomeFailed] += n
			failed -= n
		}
	}
	maps.DeleteFunc(counts, func(_ contract.Outcome, n int) bool { return n == 0 })
}

func (s State) ended(kind contract.PhaseKind, wave int) *contract.EndedPhase {
	for i, phase := range s.Ended {
		if phase.Kind == kind && phase.Wave == wave {
			return &s.Ended[i]
		}
	}
	return nil
}

// phase is the phase that comes next, in which any number of targets may fail.
func (s State) phase(kind contract.PhaseKind, wave int, does contract.Operation, total int) contract.Next {
	return contract.Next{Total: total, Phase: &contract.Phase{
		Number: len(s.Ended) + 1, Kind: kind, Wave: wave, Name: s.Layout.Waves[wave-1].Name, Operation: does, MaxFailures: total,
	}}
}

func (s State) work(next contract.Next, reason string) contract.Next {
	next.Action, next.Reason = contract.ActionWork, reason
	next.ItemsKey = s.Plan.Run.Prefix + runs.PhaseItems(next.Phase.Number)
	next.ResultsPrefix = s.Plan.Run.Prefix + runs.PhaseResults(next.Phase.Number)
	next.MaxConcurrency = s.Layout.Waves[next.Phase.Wave-1].MaxConcurrency
	return next
}

// wait waits until a full second: of a timestamp Step Functions takes no part of one.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html
func wait(next contract.Next, until time.Time, reason string) contract.Next {
	until = until.UTC().Add(time.Second - 1).Truncate(time.Second)
	next.Action, next.Until = contract.ActionWait, &until
	next.Reason = reason + " " + until.Format(time.RFC3339)
	return next
}

func report(reason string) contract.Next {
	return contract.Next{Action: contract.ActionReport, Reason: reason}
}
