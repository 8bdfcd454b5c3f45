package phases_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/phases"
)

// A Wednesday.
var start = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// takes is how long every phase takes, and every answer to a request for approval.
const takes = time.Minute

// ended is how a phase ends: so many of its targets fail, so many are not started, and
// the others are Ready.
type ended struct {
	failed, notStarted int
	broke              string
}

// rollout is an execution whose phases end as it says.
type rollout struct {
	waves    []contract.PlannedWave
	settings func(*contract.Run)
	layout   func(*contract.Layout)
	preview  bool
	// ends is how phases end, by kind and name of the wave, such as "check canary"; any
	// other succeeds on all of its targets.
	ends map[string]ended
	// answers are those to requests for approval, by the name of the wave.
	answers map[string]contract.Approval
	// stop is the step before which somebody writes the stop mark, and stopIn the one
	// while which.
	stop, stopIn string
}

// play goes through the execution, and returns its steps and the state at its end.
func (r rollout) play(t *testing.T, seen func(phases.State, contract.Next)) ([]string, phases.State) {
	t.Helper()
	s := r.begin()
	var steps []string
	for range 2 + 6*len(r.waves) { // a Map breaks, and each is approved, waited for, worked on, bakes, is checked, is rolled back
		next := phases.Decide(s)
		if step(s, next) == r.stop {
			s.Stopped = true
			next = phases.Decide(s)
		}
		seen(s, next)
		steps = append(steps, step(s, next))
		s.Last, s.Approval = &next, nil
		if next.Action == contract.ActionReport {
			return steps, s
		}
		if step(s, next) == r.stopIn {
			s.Stopped = true
		}
		r.do(&s, next)
	}
	t.Fatalf("there is no end to %q", steps)
	return nil, s
}

func unseen(phases.State, contract.Next) {}

func (r rollout) begin() phases.State {
	s := phases.State{Now: start, Layout: contract.Layout{Waves: slices.Clone(r.waves), ApprovalTimeoutSeconds: 600}, Touched: make([]int, len(r.waves))}
	s.Plan.Preview = r.preview
	s.Plan.Run = contract.Run{Prefix: "runs/nightly/", Operation: operation.Apply, Ready: contract.ReadySettings{Wait: true}, OnFailure: contract.OnFailureStop}
	if r.settings != nil {
		r.settings(&s.Plan.Run)
	}
	if r.layout != nil {
		r.layout(&s.Layout)
	}
	return s
}

// do does what was decided, as the state machine and review do.
func (r rollout) do(s *phases.State, next contract.Next) {
	switch next.Action {
	case contract.ActionWait:
		s.Now = *next.Until
	case contract.ActionApprove:
		s.Now = s.Now.Add(takes)
		if answer, ok := r.answers[next.Phase.Name]; ok {
			s.Approval = &answer
		}
	case contract.ActionWork:
		s.Now = s.Now.Add(takes)
		end := r.ends[string(next.Phase.Kind)+" "+next.Phase.Name]
		counts := map[contract.Outcome]int{
			contract.OutcomeReady: next.Total - end.failed - end.notStarted, contract.OutcomeFailed: end.failed, contract.OutcomeNotStarted: end.notStarted,
		}
		maps.DeleteFunc(counts, func(_ contract.Outcome, n int) bool { return n == 0 })
		phase := contract.EndedPhase{Phase: *next.Phase, Total: next.Total, Counts: counts, Failed: end.failed, At: s.Now}
		if end.broke != "" {
			phase.Broke = &contract.StateError{Error: end.broke}
		}
		s.Ended = append(s.Ended, phase)
		if next.Phase.Kind == contract.PhaseWave {
			s.Touched[next.Phase.Wave-1] = next.Total - end.notStarted
		}
	case contract.ActionReport:
	}
}

// step says in a few words what was decided.
func step(s phases.State, next contract.Next) string {
	switch next.Action {
	case contract.ActionWork:
		return fmt.Sprintf("%s %s", next.Phase.Kind, next.Phase.Name)
	case contract.ActionWait:
		return fmt.Sprintf("wait %s: %s", next.Until.Sub(s.Now), next.Phase.Name)
	case contract.ActionApprove:
		return "approve " + next.Phase.Name
	case contract.ActionReport:
	}
	return "report"
}

func of(name string, total int, more ...func(*contract.PlannedWave)) contract.PlannedWave {
	wave := contract.PlannedWave{Name: name, Total: total, MaxConcurrency: 50, ItemsKey: "items of " + name}
	for _, set := range more {
		set(&wave)
	}
	return wave
}

func mayFail(most int) func(*contract.PlannedWave) {
	return func(w *contract.PlannedWave) { w.MaxFailures = &most }
}

func bakes(d time.Duration) func(*contract.PlannedWave) {
	return func(w *contract.PlannedWave) { w.BakeSeconds = int(d.Seconds()) }
}

func approved(w *contract.PlannedWave) { w.Approval = true }

// at lets a wave start between two times of day, in UTC.
func at(from, to string) func(*contract.PlannedWave) {
	return func(w *contract.PlannedWave) { w.Window = &contract.Window{From: from, To: to} }
}

func budget(most int) func(*contract.Run) {
	return func(run *contract.Run) { run.MaxFailures = most }
}

func onFailure(does contract.OnFailure, most int) func(*contract.Run) {
	return func(run *contract.Run) { run.OnFailure, run.MaxFailures = does, most }
}

func yes(name string) map[string]contract.Approval {
	return map[string]contract.Approval{name: {Approved: true}}
}

// What an execution does, from its first step to its report, and why it failed, if it
// did.
func TestRollouts(t *testing.T) {
	three := []contract.PlannedWave{of("canary", 1, mayFail(0)), of("few", 4), of("rest", 15)}
	tests := []struct {
		name   string
		r      rollout
		want   string
		failed string
	}{
		// Waves.
		{"one wave", rollout{waves: []contract.PlannedWave{of("1", 5)}}, "wave 1, report", ""},
		{"waves, one after the other", rollout{waves: three}, "wave canary, wave few, wave rest, report", ""},
		{"an empty wave is passed over, with its approval, its window and its bake time",
			rollout{waves: []contract.PlannedWave{of("canary", 0, approved, at("22:00", "23:00"), bakes(time.Hour)), of("rest", 5)}}, "wave rest, report", ""},
		{"nothing but empty waves", rollout{waves: []contract.PlannedWave{of("canary", 0), of("rest", 0)}}, "report", ""},
		{"a preview", rollout{waves: three, preview: true}, "report", ""},

		// Budgets.
		{"no more fail than may", rollout{waves: three, settings: budget(2), ends: map[string]ended{"wave few": {failed: 2}}}, "wave canary, wave few, wave rest, report", ""},
		{"more fail than may, of all", rollout{waves: three, settings: budget(2), ends: map[string]ended{"wave few": {failed: 3, notStarted: 1}}},
			"wave canary, wave few, report", "3 failed, and 2 may"},
		{"more fail than may, in two waves together", rollout{waves: []contract.PlannedWave{of("a", 5), of("b", 5), of("c", 5)}, settings: budget(2),
			ends: map[string]ended{"wave a": {failed: 2}, "wave b": {failed: 1}}}, "wave a, wave b, report", "3 failed, and 2 may"},
		{"in the last wave", rollout{waves: three, ends: map[string]ended{"wave rest": {failed: 1}}}, "wave canary, wave few, wave rest, report", "1 failed, and 0 may"},
		{"the canary fails, though more may of all", rollout{waves: three, settings: budget(10), ends: map[string]ended{"wave canary": {failed: 1}}},
			"wave canary, report", `1 of wave "canary" failed, and 0 may`},
		{"a wave's own budget is larger than that of all", rollout{waves: []contract.PlannedWave{of("a", 5, mayFail(5)), of("b", 5)}, settings: budget(1),
			ends: map[string]ended{"wave a": {failed: 2}}}, "wave a, report", "2 failed, and 1 may"},
		{"accounts that could not be listed have failed", rollout{waves: three, settings: budget(1), layout: refused(contract.OutcomeFailed, 1), ends: map[string]ended{"wave few": {failed: 1}}},
			"wave canary, wave few, report", "2 failed, and 1 may"},
		{"and can be too many from the start", rollout{waves: three, settings: budget(1), layout: refused(contract.OutcomeFailed, 2)}, "report", "2 failed, and 1 may"},
		{"but where that is tolerated", rollout{waves: three, layout: refused(contract.OutcomeSkipped, 2)}, "wave canary, wave few, wave rest, report", ""},
		{"a Map that broke", rollout{waves: three, settings: budget(20), ends: map[string]ended{"wave few": {notStarted: 4, broke: "States.ItemReaderFailed"}}},
			"wave canary, wave few, report", `the Map over the targets of wave "few" broke: States.ItemReaderFailed`},

		// What follows a failure.
		{"continue passes over a wave's own budget", rollout{waves: three, settings: onFailure(contract.OnFailureContinue, 5), ends: map[string]ended{"wave canary": {failed: 1}}},
			"wave canary, wave few, wave rest, report", `1 of wave "canary" failed, and 0 may`},
		{"but not over that of all", rollout{waves: three, settings: onFailure(contract.OnFailureContinue, 1), ends: map[string]ended{"wave canary": {failed: 1}, "wave few": {failed: 1}}},
			"wave canary, wave few, report", "2 failed, and 1 may"},
		{"nor over a Map that broke", rollout{waves: three, settings: onFailure(contract.OnFailureContinue, 9), ends: map[string]ended{"wave canary": {broke: "States.Runtime"}}},
			"wave canary, report", `the Map over the targets of wave "canary" broke: States.Runtime`},
		{"rollback goes back through the waves that were started", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0), ends: map[string]ended{"wave few": {failed: 1}}},
			"wave canary, wave few, rollback few, rollback canary, report", "1 failed, and 0 may"},
		{"and over those of which nothing was touched", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0), ends: map[string]ended{"wave few": {notStarted: 4, broke: "States.ItemReaderFailed"}}},
			"wave canary, wave few, rollback canary, report", `the Map over the targets of wave "few" broke: States.ItemReaderFailed`},
		{"what a Map that broke had started may still be at work, and is waited for", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0), ends: map[string]ended{"wave few": {broke: "States.Runtime"}}},
			"wave canary, wave few, wait 1m0s: few, rollback few, rollback canary, report", `the Map over the targets of wave "few" broke: States.Runtime`},
		{"what fails in a rollback stops nothing", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0),
			ends: map[string]ended{"wave few": {failed: 1}, "rollback few": {failed: 4, broke: "States.Runtime"}}},
			"wave canary, wave few, rollback few, rollback canary, report", "1 failed, and 0 may"},
		{"nothing is rolled back where nothing was started", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0), layout: refused(contract.OutcomeFailed, 1)},
			"report", "1 failed, and 0 may"},

		// The bake time, and the check behind it.
		{"a wave bakes and is checked, the last one too", rollout{waves: []contract.PlannedWave{of("canary", 1, bakes(time.Hour)), of("rest", 5, bakes(time.Minute))}},
			"wave canary, wait 1h0m0s: canary, check canary, wave rest, wait 1m0s: rest, check rest, report", ""},
		{"what the check finds counts as the wave's", rollout{waves: []contract.PlannedWave{of("a", 5, mayFail(1), bakes(time.Hour)), of("b", 5)}, settings: budget(5),
			ends: map[string]ended{"wave a": {failed: 1}, "check a": {failed: 1}}}, "wave a, wait 1h0m0s: a, check a, report", `2 of wave "a" failed, and 1 may`},
		{"the last check can fail the rollout", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, ends: map[string]ended{"check 1": {failed: 1}}},
			"wave 1, wait 1h0m0s: 1, check 1, report", "1 failed, and 0 may"},
		{"and is rolled back", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, settings: onFailure(contract.OnFailureRollback, 0), ends: map[string]ended{"check 1": {failed: 1}}},
			"wave 1, wait 1h0m0s: 1, check 1, rollback 1, report", "1 failed, and 0 may"},
		{"a check whose Map broke", rollout{waves: []contract.PlannedWave{of("a", 5, bakes(time.Hour)), of("b", 5)}, settings: budget(5), ends: map[string]ended{"check a": {broke: "States.Runtime"}}},
			"wave a, wait 1h0m0s: a, check a, report", `the Map over the targets of wave "a" broke: States.Runtime`},
		{"a wave that failed does not bake", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, ends: map[string]ended{"wave 1": {failed: 1}}},
			"wave 1, report", "1 failed, and 0 may"},
		{"unless the rollout goes on", rollout{waves: []contract.PlannedWave{of("a", 5, mayFail(0), bakes(time.Hour)), of("b", 5)}, settings: onFailure(contract.OnFailureContinue, 5), ends: map[string]ended{"wave a": {failed: 1}}},
			"wave a, wait 1h0m0s: a, check a, wave b, report", `1 of wave "a" failed, and 0 may`},
		{"a wave bakes of which some were Ready", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, settings: budget(4), ends: map[string]ended{"wave 1": {failed: 4}}},
			"wave 1, wait 1h0m0s: 1, check 1, report", ""},
		{"none of which none was", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, settings: budget(5), ends: map[string]ended{"wave 1": {failed: 5}}}, "wave 1, report", ""},
		{"nor what was not waited for", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, settings: func(run *contract.Run) { run.Ready.Wait = false }}, "wave 1, report", ""},
		{"nor a dry run", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, settings: func(run *contract.Run) { run.Apply.DryRun = true }}, "wave 1, report", ""},
		{"nor what was deleted", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, settings: func(run *contract.Run) { run.Operation = operation.Delete }}, "wave 1, report", ""},

		// Approvals.
		{"an approval", rollout{waves: []contract.PlannedWave{of("a", 5), of("b", 5, approved)}, answers: yes("b")}, "wave a, approve b, wave b, report", ""},
		{"each wave is asked for", rollout{waves: []contract.PlannedWave{of("a", 5, approved), of("b", 5, approved)}, answers: yes("a")},
			"approve a, wave a, approve b, report", `wave "b" was not approved`},
		{"a no", rollout{waves: []contract.PlannedWave{of("a", 5), of("b", 5, approved)}, answers: map[string]contract.Approval{"b": {Message: "not before Monday"}}},
			"wave a, approve b, report", `wave "b" was not approved: not before Monday`},
		{"a no is no failure that is rolled back", rollout{waves: []contract.PlannedWave{of("a", 5), of("b", 5, approved)}, settings: onFailure(contract.OnFailureRollback, 0)},
			"wave a, approve b, report", `wave "b" was not approved`},

		// Windows.
		{"a window that is open", rollout{waves: []contract.PlannedWave{of("1", 5, at("11:00", "13:00"))}}, "wave 1, report", ""},
		{"a window that opens later", rollout{waves: []contract.PlannedWave{of("1", 5, at("13:00", "14:00"))}}, "wait 1h0m0s: 1, wave 1, report", ""},
		{"on the next day", rollout{waves: []contract.PlannedWave{of("1", 5, at("11:00", "12:00"))}}, "wait 23h0m0s: 1, wave 1, report", ""},
		{"an approval comes before the window, and is asked for once", rollout{waves: []contract.PlannedWave{of("1", 5, approved, at("13:00", "14:00"))}, answers: yes("1")},
			"approve 1, wait 59m0s: 1, wave 1, report", ""},
		{"the window is looked at again after the approval", rollout{waves: []contract.PlannedWave{of("1", 5, approved, at("11:00", "12:01"))}, answers: yes("1")},
			"approve 1, wait 22h59m0s: 1, wave 1, report", ""},
		{"a window that never opens", rollout{waves: []contract.PlannedWave{of("1", 5, at("noon", "14:00"))}}, "report",
			`wave "1" cannot start: window.from: `},

		// The stop mark.
		{"somebody stops it between two waves", rollout{waves: three, stop: "wave few"}, "wave canary, report", "somebody stopped the rollout"},
		{"while a wave bakes", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, stop: "check 1"}, "wave 1, wait 1h0m0s: 1, report", "somebody stopped the rollout"},
		{"before an approval", rollout{waves: []contract.PlannedWave{of("1", 5, approved)}, stop: "approve 1"}, "report", "somebody stopped the rollout"},
		{"in a rollback", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0), stop: "rollback canary", ends: map[string]ended{"wave few": {failed: 1}}},
			"wave canary, wave few, rollback few, report", "1 failed, and 0 may"},
		{"before a rollback", rollout{waves: three, settings: onFailure(contract.OnFailureRollback, 0), stop: "rollback few", ends: map[string]ended{"wave few": {failed: 1}}},
			"wave canary, wave few, report", "1 failed, and 0 may"},
		{"in a check", rollout{waves: []contract.PlannedWave{of("a", 5, bakes(time.Hour)), of("b", 5)}, stopIn: "check a", ends: map[string]ended{"check a": {notStarted: 3}}},
			"wave a, wait 1h0m0s: a, check a, report", "somebody stopped the rollout"},
		{"in the last check", rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, stopIn: "check 1", ends: map[string]ended{"check 1": {notStarted: 3}}},
			"wave 1, wait 1h0m0s: 1, check 1, report", `3 targets of wave "1" were not checked`},
		{"when all is done", rollout{waves: three, stop: "report"}, "wave canary, wave few, wave rest, report", ""},
	}
	for _, test := range tests {
		steps, last := test.r.play(t, unseen)
		if got := strings.Join(steps, ", "); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
		if reason, failed := phases.Failed(last); !strings.HasPrefix(reason, test.failed) || failed != (test.failed != "") {
			t.Errorf("%s: failed %v: %q, want %q", test.name, failed, reason, test.failed)
		}
	}
}

// refused are accounts that could not be listed.
func refused(outcome contract.Outcome, n int) func(*contract.Layout) {
	return func(layout *contract.Layout) {
		layout.Accounts = slices.Repeat([]contract.Result{{Outcome: outcome}}, n)
	}
}

// All of what is decided, and not only the steps.
func TestDecisions(t *testing.T) {
	r := rollout{waves: []contract.PlannedWave{of("canary", 2, mayFail(1), bakes(90*time.Second)), of("rest", 5, approved, at("13:00", "14:00"), mayFail(2))},
		settings: onFailure(contract.OnFailureRollback, 4), answers: yes("rest"),
		ends: map[string]ended{"wave canary": {failed: 1}, "wave rest": {failed: 3, notStarted: 1}}}
	var got []contract.Next
	_, last := r.play(t, func(_ phases.State, next contract.Next) { got = append(got, next) })
	phase := func(number int, kind contract.PhaseKind, wave int, name string, does contract.Operation, mayFail int) *contract.Phase {
		return &contract.Phase{Number: number, Kind: kind, Wave: wave, Name: name, Operation: does, MaxFailures: mayFail}
	}
	until := func(d time.Duration) *time.Time { end := start.Add(d); return &end }
	type counts = map[contract.Outcome]int
	baked := counts{"Ready": 1, "Failed": 1}
	all := counts{"Ready": 2, "Failed": 4, "NotStarted": 1}
	const failed = `3 of wave "rest" failed, and 2 may`
	want := []contract.Next{
		{Action: "work", Phase: phase(1, "wave", 1, "canary", "apply", 1), ItemsKey: "items of canary", ResultsPrefix: "runs/nightly/results/1", MaxConcurrency: 50, Total: 2,
			Reason: `wave "canary" is next`, Counts: counts{}},
		{Action: "wait", Phase: phase(2, "check", 1, "canary", "verify", 1), Total: 1, Until: until(2*time.Minute + 30*time.Second), Reason: `wave "canary" bakes until 2026-11-25T12:02:30Z`, Counts: baked},
		{Action: "work", Phase: phase(2, "check", 1, "canary", "verify", 1), ItemsKey: "runs/nightly/items/2.json", ResultsPrefix: "runs/nightly/results/2", MaxConcurrency: 50, Total: 1,
			Reason: `wave "canary" has baked for 90 seconds`, Counts: baked},
		{Action: "approve", Phase: phase(3, "wave", 2, "rest", "apply", 2), Total: 5, TimeoutSeconds: 600, Reason: `wave "rest" needs an approval`, Counts: baked},
		{Action: "wait", Phase: phase(3, "wave", 2, "rest", "apply", 2), Total: 5, Until: until(time.Hour), Approved: true, Reason: `the window of wave "rest" opens at 2026-11-25T13:00:00Z`, Counts: baked},
		{Action: "work", Phase: phase(3, "wave", 2, "rest", "apply", 2), ItemsKey: "items of rest", ResultsPrefix: "runs/nightly/results/3", MaxConcurrency: 50, Total: 5, Approved: true,
			Reason: `wave "rest" is next`, Counts: baked},
		{Action: "work", Phase: phase(4, "rollback", 2, "rest", "rollback", 4), ItemsKey: "runs/nightly/items/4.json", ResultsPrefix: "runs/nightly/results/4", MaxConcurrency: 50, Total: 4,
			Reason: failed + "; what was changed is rolled back", Counts: all},
		{Action: "work", Phase: phase(5, "rollback", 1, "canary", "rollback", 2), ItemsKey: "runs/nightly/items/5.json", ResultsPrefix: "runs/nightly/results/5", MaxConcurrency: 50, Total: 2,
			Reason: failed + "; what was changed is rolled back", Counts: all},
		{Action: "report", Reason: failed, Counts: all},
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("step %d:\ngot  %+v\nwant %+v", i, got[min(i, len(got)-1)], want[min(i, len(want)-1)])
		}
	}
	if !phases.RollsBack(last) || phases.RollsBack(r.begin()) {
		t.Error("it must be rolled back at the end, and not at the beginning")
	}
}

// A check that finds failures takes them from the targets that had succeeded.
func TestCountsAfterACheck(t *testing.T) {
	r := rollout{waves: []contract.PlannedWave{of("1", 5, bakes(time.Hour))}, ends: map[string]ended{"wave 1": {failed: 1}, "check 1": {failed: 4}}, settings: budget(1)}
	_, last := r.play(t, unseen)
	if want := map[contract.Outcome]int{"Failed": 5}; !reflect.DeepEqual(last.Last.Counts, want) {
		t.Errorf("got %v", last.Last.Counts)
	}
}

// In strict mode no more targets are worked on at once than may still fail, and one.
func TestStrictConcurrency(t *testing.T) {
	tests := []struct {
		name  string
		waves []contract.PlannedWave
		most  int // may fail of all
		ends  map[string]ended
		want  string
	}{
		{"a budget of 0: one after the other", []contract.PlannedWave{of("1", 90)}, 0, nil, "wave 1: 1"},
		{"the budget of all, and one", []contract.PlannedWave{of("1", 90)}, 9, nil, "wave 1: 10"},
		{"the wave's own, where it is smaller", []contract.PlannedWave{of("a", 90, mayFail(0)), of("b", 90, mayFail(3))}, 9, nil, "wave a: 1, wave b: 4"},
		{"what is left of that of all", []contract.PlannedWave{of("a", 90), of("b", 90, mayFail(8))}, 9, map[string]ended{"wave a": {failed: 4}}, "wave a: 10, wave b: 6"},
		{"never more than asked for", []contract.PlannedWave{of("1", 90)}, 70, nil, "wave 1: 50"},
	}
	for _, test := range tests {
		var got []string
		rollout{waves: test.waves, settings: budget(test.most), ends: test.ends, layout: func(l *contract.Layout) { l.Strict = true }}.play(t, func(s phases.State, next contract.Next) {
			if next.Action == contract.ActionWork {
				got = append(got, fmt.Sprintf("%s: %d", step(s, next), next.MaxConcurrency))
			}
		})
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s: got %q", test.name, got)
		}
	}
}

// The bake time is waited for to its end, also where it is asked too early. A wait is one
// of full seconds: Step Functions takes no part of a second of a timestamp.
func TestBakesToItsEnd(t *testing.T) {
	s := rollout{waves: []contract.PlannedWave{of("1", 1, bakes(time.Minute))}}.begin()
	s.Ended = []contract.EndedPhase{{Phase: contract.Phase{Number: 1, Kind: contract.PhaseWave, Wave: 1}, Counts: map[contract.Outcome]int{"Ready": 1}, At: start.Add(time.Millisecond)}}
	for _, s.Now = range []time.Time{start, start.Add(time.Minute)} {
		if next := phases.Decide(s); next.Action != contract.ActionWait || !next.Until.Equal(start.Add(time.Minute+time.Second)) {
			t.Errorf("at %s: %+v", s.Now, next)
		}
	}
	s.Now = start.Add(time.Minute + time.Millisecond)
	if next := phases.Decide(s); next.Action != contract.ActionWork || next.Phase.Kind != contract.PhaseCheck {
		t.Errorf("at the end: %+v", next)
	}
}

// The plan's own decision, and a person's report, come without a decision before.
func TestFailedWithoutADecision(t *testing.T) {
	if reason, failed := phases.Failed(rollout{waves: []contract.PlannedWave{of("1", 1)}}.begin()); failed {
		t.Error(reason)
	}
}
