package phases_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/phases"
	"github.com/crossapply/crossapply/shared/window"
)

// random is a rollout of any shape, whose phases end in any way.
func random(r *rand.Rand) rollout {
	pick := func(options ...string) string { return options[r.IntN(len(options))] }
	seldom := func() bool { return r.IntN(5) == 0 }
	out := rollout{ends: map[string]ended{}, answers: map[string]contract.Approval{}}
	for i := range 1 + r.IntN(5) {
		wave := of(fmt.Sprint(i), r.IntN(6))
		wave.MaxConcurrency = 1 + r.IntN(5)
		if seldom() {
			mayFail(r.IntN(3))(&wave)
		}
		if seldom() {
			bakes(time.Duration(1+r.IntN(90_000)) * time.Second)(&wave)
		}
		if seldom() {
			at(pick("11:00", "12:00"), pick("12:01", "13:00"))(&wave)
		}
		wave.Approval = seldom()
		out.waves = append(out.waves, wave)
		out.answers[wave.Name] = contract.Approval{Approved: !seldom()}
		for _, kind := range []string{"wave", "check", "rollback"} {
			end := ended{}
			if seldom() {
				end.failed = r.IntN(wave.Total + 1)
				end.notStarted = r.IntN(wave.Total - end.failed + 1)
			}
			if r.IntN(30) == 0 {
				end.broke = "States.Runtime"
			}
			out.ends[kind+" "+wave.Name] = end
		}
	}
	if seldom() {
		out.stop = pick("wave ", "check ", "rollback ", "approve ") + fmt.Sprint(r.IntN(len(out.waves)))
	}
	policy, most := contract.OnFailure(pick("stop", "continue", "rollback")), r.IntN(6)
	out.settings = onFailure(policy, most)
	strict, accounts := seldom(), r.IntN(2)*r.IntN(2)
	out.layout = func(l *contract.Layout) {
		l.Strict = strict
		refused(contract.OutcomeFailed, accounts)(l)
	}
	return out
}

// watcher follows an execution, and says what must not be.
type watcher struct {
	t       *testing.T
	seed    uint64
	asked   map[int]bool
	granted map[int]bool
}

func (w *watcher) must(holds bool, what string, s phases.State, next contract.Next) {
	if !holds {
		w.t.Errorf("seed %d: %s: %+v after %+v", w.seed, what, next, s.Ended)
	}
}

func (w *watcher) see(s phases.State, next contract.Next) {
	again := s
	again.Ended = slices.Clone(s.Ended)
	w.must(reflect.DeepEqual(phases.Decide(again), next), "asked again, it says something else", s, next)
	if s.Last != nil && s.Last.Action == contract.ActionApprove && s.Approval != nil && s.Approval.Approved {
		w.granted[s.Last.Phase.Wave] = true
	}
	if next.Action == contract.ActionReport {
		w.end(s, next)
		return
	}
	w.must(!s.Stopped, "it goes on after the stop mark", s, next)
	w.must(next.Phase.Number == len(s.Ended)+1 && next.Total > 0, "the phase has another number, or no targets", s, next)
	switch next.Action {
	case contract.ActionWait:
		w.must(next.Until.After(s.Now), "it waits for nothing", s, next)
	case contract.ActionApprove:
		w.must(!w.asked[next.Phase.Wave], "a wave is asked for twice", s, next)
		w.asked[next.Phase.Wave] = true
	case contract.ActionWork:
		w.must(next.MaxConcurrency > 0, "it works on nothing at once", s, next)
		w.work(s, next)
	case contract.ActionReport:
	}
}

// work looks at a phase that is to be worked on.
func (w *watcher) work(s phases.State, next contract.Next) {
	wave := s.Layout.Waves[next.Phase.Wave-1]
	all, broke := failures(s, 0)
	own, _ := failures(s, next.Phase.Wave)
	for _, phase := range s.Ended {
		w.must(phase.Kind != next.Phase.Kind || phase.Wave != next.Phase.Wave, "a phase is worked on twice", s, next)
	}
	if next.Phase.Kind == contract.PhaseRollback {
		w.must(s.Plan.Run.OnFailure == contract.OnFailureRollback, "it rolls back without having been asked to", s, next)
		for _, phase := range s.Ended {
			w.must(phase.Kind != contract.PhaseRollback || phase.Wave > next.Phase.Wave, "it does not go backwards", s, next)
		}
		return
	}
	w.must(!broke && all <= s.Plan.Run.MaxFailures, "it goes on though too much has failed", s, next)
	for i, earlier := range s.Layout.Waves {
		failed, _ := failures(s, i+1)
		w.must(earlier.MaxFailures == nil || failed <= *earlier.MaxFailures || s.Plan.Run.OnFailure == contract.OnFailureContinue, "it goes on after a wave that failed", s, next)
	}
	if next.Phase.Kind == contract.PhaseCheck {
		ended := find(s, contract.PhaseWave, next.Phase.Wave)
		w.must(ended != nil && !s.Now.Before(ended.At.Add(time.Duration(wave.BakeSeconds)*time.Second)), "the bake time was not waited for", s, next)
		return
	}
	for i := range next.Phase.Wave - 1 {
		w.must(s.Layout.Waves[i].Total == 0 || find(s, contract.PhaseWave, i+1) != nil, "a wave before was left out", s, next)
		if ended := find(s, contract.PhaseWave, i+1); ended != nil && s.Layout.Waves[i].BakeSeconds > 0 && ended.Counts[contract.OutcomeReady] > 0 {
			w.must(find(s, contract.PhaseCheck, i+1) != nil, "a wave before was not checked", s, next)
		}
	}
	w.must(!wave.Approval || w.granted[next.Phase.Wave], "nobody approved", s, next)
	opens, err := window.Next(wave.Window, s.Now)
	w.must(err == nil && opens.Equal(s.Now), "its window is closed", s, next)
	if s.Layout.Strict {
		w.must(next.MaxConcurrency <= s.Plan.Run.MaxFailures-all+1, "more than what is left of the budget", s, next)
		w.must(wave.MaxFailures == nil || next.MaxConcurrency <= *wave.MaxFailures-own+1, "more than what is left of the wave's budget", s, next)
	}
}

// end looks at the end.
func (w *watcher) end(s phases.State, next contract.Next) {
	s.Last = &next
	_, failed := phases.Failed(s)
	all, broke := failures(s, 0)
	whole := !broke && all <= s.Plan.Run.MaxFailures
	for i, wave := range s.Layout.Waves {
		own, _ := failures(s, i+1)
		whole = whole && (wave.Total == 0 || find(s, contract.PhaseWave, i+1) != nil) && (wave.MaxFailures == nil || own <= *wave.MaxFailures)
	}
	if !whole {
		w.must(failed, "it ends as a success before its end, or with too many failures", s, next)
	}
	if s.Stopped || !failed || s.Plan.Run.OnFailure != contract.OnFailureRollback || whole || all <= s.Plan.Run.MaxFailures && !broke {
		return
	}
	for i := range s.Layout.Waves {
		w.must(s.Touched[i] == 0 || find(s, contract.PhaseRollback, i+1) != nil, "a wave was not rolled back", s, next)
	}
}

// failures is how many targets of a wave have failed, or of all with 0, and whether a
// Map broke.
func failures(s phases.State, wave int) (failed int, broke bool) {
	if wave == 0 {
		failed = len(s.Layout.Accounts)
	}
	for _, phase := range s.Ended {
		if phase.Kind != contract.PhaseRollback && (wave == 0 || phase.Wave == wave) {
			failed, broke = failed+phase.Failed, broke || phase.Broke != nil
		}
	}
	return failed, broke
}

func find(s phases.State, kind contract.PhaseKind, wave int) *contract.EndedPhase {
	i := slices.IndexFunc(s.Ended, func(phase contract.EndedPhase) bool { return phase.Kind == kind && phase.Wave == wave })
	if i < 0 {
		return nil
	}
	return &s.Ended[i]
}

// Whatever the waves and however their phases end: waves keep their order and their
// limits, and there is an end.
func TestRandomRollouts(t *testing.T) {
	kinds := map[contract.Operation]int{}
	for seed := range uint64(5_000) {
		r := random(rand.New(rand.NewPCG(seed, 0)))
		w := &watcher{t: t, seed: seed, asked: map[int]bool{}, granted: map[int]bool{}}
		_, last := r.play(t, w.see)
		for _, phase := range last.Ended {
			kinds[phase.Operation]++
		}
		if t.Failed() {
			return
		}
	}
	for _, does := range []contract.Operation{operation.Apply, operation.Verify, operation.Rollback} {
		if kinds[does] < 500 {
			t.Errorf("%d phases of %s: does this test still look at them?", kinds[does], does)
		}
	}
}
