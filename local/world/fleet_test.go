package world_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// fate is what becomes of a target that is well.
type fate struct {
	outcome contract.Outcome
	err     fault.Name
	// manager is the field manager that has a Topic there before; none where it is
	// empty. annotations are that Topic's.
	manager     string
	annotations map[string]string
	// before and after have apply killed at every attempt, around its patch.
	before, after bool
}

// The rollout may take over what adopted has, and nobody else's.
const adopted, stranger = "kubectl-client-side-apply", "capacity-team"

func behaves(b operator.Behavior, delay string) map[string]string {
	return map[string]string{operator.BehaviorAnnotation: string(b), delayAnnotation: delay}
}

var fates = []fate{
	{outcome: contract.OutcomeReady},
	{outcome: contract.OutcomeReady},
	{outcome: contract.OutcomeReady, manager: adopted, annotations: behaves(operator.Converge, "700ms")},
	{outcome: contract.OutcomeFailed, err: fault.ResourceFailed, manager: adopted, annotations: behaves(operator.Stalled, "0s")},
	{outcome: contract.OutcomeTimedOut, err: fault.ReadyTimeout, manager: adopted, annotations: behaves(operator.Silent, "0s")},
	{outcome: contract.OutcomeFailed, err: fault.Conflict, manager: stranger},
	{outcome: contract.OutcomeFailed, err: "Runtime.ExitError", before: true},
	{outcome: contract.OutcomeFailed, err: "Runtime.ExitError", after: true},
}

// fleetCase is a rollout over a fleet, with what becomes of each target that is
// well. All others fail.
type fleetCase struct {
	targets             []contract.Target
	fates               map[contract.Target]fate
	budget, concurrency int
	waves               []fleetWave
	onFailure           contract.OnFailure
}

// fleetWave is a wave of so many targets: the last one takes the rest.
type fleetWave struct{ size, budget, concurrency int }

func randomFleet(random *rand.Rand) fleetCase {
	all := append(healthy(), noRBAC, unmapped, noCRD, creating, down, foreign, missing)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	c := fleetCase{
		targets: all[:1+random.IntN(len(all))], fates: map[contract.Target]fate{},
		budget: random.IntN(4), concurrency: 1 + random.IntN(6),
	}
	for _, target := range healthy() {
		c.fates[target] = fates[random.IntN(len(fates))]
	}
	c.onFailure = []contract.OnFailure{contract.OnFailureStop, contract.OnFailureContinue, contract.OnFailureRollback}[random.IntN(3)]
	for left, waves := len(c.targets), 1+random.IntN(3); left > 0 && waves > 0; waves-- {
		wave := fleetWave{size: 1 + random.IntN(left), budget: random.IntN(4), concurrency: 1 + random.IntN(4)}
		if waves == 1 {
			wave.size = left
		}
		c.waves = append(c.waves, wave)
		left -= wave.size
	}
	return c
}

// split returns the targets of each wave, in the form of any values that belong to
// the targets.
func split[T any](c fleetCase, all []T) [][]T {
	var waves [][]T
	for _, wave := range c.waves {
		waves = append(waves, all[:wave.size])
		all = all[wave.size:]
	}
	return waves
}

// Whatever fails in a fleet, and whatever its waves and budgets: the outcomes add up,
// each target that was started ends as it does by itself, no write is reported as none,
// and the API servers saw one wave after the other and never too many targets at once.
func TestRandomFleets(t *testing.T) {
	const cases = 30
	killer := newKiller(t)
	var mu sync.Mutex
	var seen sight
	t.Run("cases", func(t *testing.T) {
		for i := range cases {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				got := rollOutFleet(t, killer, fmt.Sprintf("fleet-%d", i), randomFleet(rand.New(rand.NewPCG(2026, uint64(i)))))
				mu.Lock()
				defer mu.Unlock()
				seen.writes, seen.later, seen.atOnce = seen.writes+got.writes, seen.later+got.later, max(seen.atOnce, got.atOnce)
				seen.rolledBack += got.rolledBack
			})
		}
	})
	if seen.writes == 0 || seen.later == 0 || seen.atOnce < 2 || seen.rolledBack == 0 {
		t.Errorf("too little was seen: %+v", seen)
	}
}

// sight is what the API servers saw.
type sight struct {
	writes     int // on targets
	later      int // waves after another one
	atOnce     int // targets, at most
	rolledBack int // targets
}

// rollOutFleet rolls out over a fleet, and says what the API servers saw.
func rollOutFleet(t *testing.T, killer *killer, name string, c fleetCase) sight {
	t.Helper()
	for _, target := range c.targets {
		if fate := c.fates[target]; fate.manager != "" {
			found := object(name, 1)
			found.Object["spec"].(map[string]any)["retention"] = "24h0m0s"
			found.SetAnnotations(fate.annotations)
			if _, err := topics(t, target).Apply(t.Context(), name, found, metav1.ApplyOptions{FieldManager: fate.manager}); err != nil {
				t.Fatal(err)
			}
		}
	}
	killer.rule(name, func(call lambda.Call, target contract.Target) bool {
		fate := c.fates[target]
		return strings.Contains(call.Event, `"kind":"wave"`) && (fate.before && !call.Done || fate.after && call.Done) && strings.HasPrefix(call.Operation, "PATCH ")
	})
	before := topicsOf(t, name)
	since := marks(t)
	arn := startNamed(t, name, c.request(t, name))
	answer := answerOf(t, wait(t, arn))
	report := fullReport(t, answer)
	expectSum(t, answer, report, c.targets)
	expectHonest(t, since, arn, report)
	seen := sight{rolledBack: answer.Counts[contract.OutcomeRolledBack]}
	for i, result := range report {
		if result.Outcome == contract.OutcomeRolledBack {
			report[i].Outcome = result.RolledBackFrom // as it ended in its wave
		}
	}
	expectFates(t, c, report)
	expectBudgets(t, c, answer, report)
	if c.onFailure == contract.OnFailureRollback && answer.Status == contract.StatusFailed {
		expectTopics(t, topicsOf(t, name), before)
	} else {
		seen = expectOrder(t, c, since, arn)
	}
	if t.Failed() {
		t.Logf("%+v", c)
	}
	return seen
}

// topicsOf returns what each target that is well has of a Topic, but for its status and
// what the cluster keeps of it: its fields, and which of them each manager owns.
func topicsOf(t *testing.T, name string) map[contract.Target]string {
	t.Helper()
	found := map[contract.Target]string{}
	for _, target := range healthy() {
		topic, err := topics(t, target).Get(t.Context(), name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(topic.GetAnnotations(), topic.GetLabels(), topic.Object["spec"])
		for _, owner := range topic.GetManagedFields() {
			if owner.Subresource == "" {
				text += fmt.Sprintf(" %s: %s", owner.Manager, owner.FieldsV1)
			}
		}
		found[target] = text
	}
	return found
}

// expectTopics fails where a rollback did not bring back what was there.
func expectTopics(t *testing.T, got, want map[contract.Target]string) {
	t.Helper()
	for _, target := range healthy() {
		if got[target] != want[target] {
			t.Errorf("after the rollback %s has\n%s\nwant\n%s", target, got[target], want[target])
		}
	}
}

func (c fleetCase) request(t *testing.T, name string) string {
	t.Helper()
	r := topic{
		name: name, retention: "48h0m0s", targets: c.targets, timeout: 10, grace: aws.Int(0), onFailure: c.onFailure,
		concurrency: c.concurrency, maxFailures: strconv.Itoa(c.budget), apply: &contract.ApplyOptions{Adopt: []string{adopted}},
	}
	for i, wave := range c.waves {
		asked := contract.Wave{MaxFailures: json.RawMessage(strconv.Itoa(wave.budget)), MaxConcurrency: aws.Int(wave.concurrency)}
		if i < len(c.waves)-1 {
			asked.Count = aws.Int(wave.size)
		}
		r.waves = append(r.waves, asked)
	}
	return r.request(t)
}

// expectFates fails where a target that was started ends in another way than by
// itself.
func expectFates(t *testing.T, c fleetCase, report []contract.Result) {
	t.Helper()
	for _, result := range report {
		fate, well := c.fates[result.Target]
		switch {
		case result.Outcome == contract.OutcomeNotStarted:
		case !well && result.Outcome != contract.OutcomeFailed:
			t.Errorf("%s", says(result))
		case well && (result.Outcome != fate.outcome || result.Error != string(fate.err)):
			t.Errorf("%s, want %s %s", says(result), fate.outcome, fate.err)
		}
	}
}

// expectBudgets fails where targets were started beyond a budget, or not started though
// none was spent. The failure that spends one leaves at most the others under way.
func expectBudgets(t *testing.T, c fleetCase, answer contract.Answer, report []contract.Result) {
	t.Helper()
	all, spent, ended := 0, false, false
	for i, results := range split(c, report) {
		wave, failed, started := c.waves[i], 0, 0
		for _, result := range results {
			if result.Outcome.Failed() {
				failed++
			}
			if result.Outcome != contract.OutcomeNotStarted {
				started++
			}
		}
		if ended && started > 0 {
			t.Errorf("wave %d was started after a budget was spent", i+1)
		}
		if most := min(wave.budget, c.budget-all) + wave.concurrency; started > 0 && failed > most {
			t.Errorf("%d targets of wave %d failed, and at most %d can", failed, i+1, most)
		}
		all += failed
		over := failed > wave.budget
		spent = spent || over || all > c.budget
		if started < len(results) && !ended && !over && all <= c.budget {
			t.Errorf("%d of %d targets of wave %d were started, with %d failed", started, len(results), i+1, failed)
		}
		ended = ended || all > c.budget || over && c.onFailure != contract.OnFailureContinue
	}
	if spent != (answer.Status == contract.StatusFailed) {
		t.Errorf("%d targets failed, of %d that may: %s", all, c.budget, answer.Message)
	}
}

// expectOrder fails where an API server saw a target of a wave before another one had
// seen the last of the wave before, or where too many were worked on at once.
func expectOrder(t *testing.T, c fleetCase, since map[contract.Target]cluster.Mark, arn string) sight {
	t.Helper()
	var seen sight
	var before time.Time // when the last of the waves before was seen
	for i, targets := range split(c, c.targets) {
		var work []span
		for _, target := range targets {
			requests := requestsOf(t, since, arn, target)
			if len(requests) == 0 {
				continue // it was not started, or has no API server that knows us
			}
			work = append(work, spanOf(requests))
			if slices.ContainsFunc(requests, writes) {
				seen.writes++
			}
		}
		if len(work) == 0 {
			continue
		}
		first, last := work[0].from, before
		for _, s := range work {
			if s.from.Before(first) {
				first = s.from
			}
			if s.to.After(last) {
				last = s.to
			}
		}
		if first.Before(before) {
			t.Errorf("wave %d began %v before the end of the one before", i+1, before.Sub(first))
		}
		if !before.IsZero() {
			seen.later++
		}
		most := atOnce(work)
		if most > c.waves[i].concurrency {
			t.Errorf("%d targets of wave %d were worked on at once, of %d that may", most, i+1, c.waves[i].concurrency)
		}
		seen.atOnce, before = max(seen.atOnce, most), last
	}
	return seen
}

// span is the time from the first to the last request to a target.
type span struct{ from, to time.Time }

func spanOf(requests []cluster.Request) span {
	s := span{requests[0].Received, requests[0].Received}
	for _, request := range requests {
		if request.Received.Before(s.from) {
			s.from = request.Received
		}
		if request.Received.After(s.to) {
			s.to = request.Received
		}
	}
	return s
}

// atOnce is how many spans overlap, at most: where one begins.
func atOnce(spans []span) int {
	most := 0
	for _, s := range spans {
		n := 0
		for _, other := range spans {
			if !other.from.After(s.from) && !other.to.Before(s.from) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
