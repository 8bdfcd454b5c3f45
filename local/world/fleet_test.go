package world_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
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
}

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
	return c
}

// Whatever fails in a fleet, and whatever the budget: the outcomes add up, each
// target that was started ends as it does by itself, and no write is reported as
// none.
func TestRandomFleets(t *testing.T) {
	const cases = 30
	killer := newKiller(t)
	seen := make(chan bool, cases)
	t.Run("cases", func(t *testing.T) {
		for i := range cases {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				seen <- rollOutFleet(t, killer, fmt.Sprintf("fleet-%d", i), randomFleet(rand.New(rand.NewPCG(2026, uint64(i)))))
			})
		}
	})
	close(seen)
	for wrote := range seen {
		if wrote {
			return
		}
	}
	t.Error("no API server has a write in its record")
}

// rollOutFleet says whether a write was found in the record of an API server.
func rollOutFleet(t *testing.T, killer *killer, name string, c fleetCase) (wrote bool) {
	t.Helper()
	for _, target := range c.targets {
		if fate := c.fates[target]; fate.manager != "" {
			found := object(name, 1)
			found.SetAnnotations(fate.annotations)
			if _, err := topics(t, target).Apply(t.Context(), name, found, metav1.ApplyOptions{FieldManager: fate.manager}); err != nil {
				t.Fatal(err)
			}
		}
	}
	killer.rule(name, func(call lambda.Call, target contract.Target) bool {
		fate := c.fates[target]
		return (fate.before && !call.Done || fate.after && call.Done) && strings.HasPrefix(call.Operation, "PATCH ")
	})
	r := topic{
		name: name, partitions: 3, targets: c.targets, timeout: 10, grace: aws.Int(0),
		concurrency: c.concurrency, maxFailures: strconv.Itoa(c.budget), apply: &contract.ApplyOptions{Adopt: []string{adopted}},
	}
	since := marks(t)
	arn := startNamed(t, name, r.request(t))
	answer := answerOf(t, wait(t, arn))
	report := fullReport(t, answer)
	expectSum(t, answer, report, c.targets)
	expectHonest(t, since, arn, report)
	for _, result := range report {
		fate, well := c.fates[result.Target]
		switch {
		case result.Outcome == contract.OutcomeNotStarted:
		case !well && result.Outcome != contract.OutcomeFailed:
			t.Errorf("%s", says(result))
		case well && (result.Outcome != fate.outcome || result.Error != string(fate.err)):
			t.Errorf("%s, want %s %s", says(result), fate.outcome, fate.err)
		}
		wrote = wrote || written(t, since, arn, result.Target)
	}
	counts := maps.Clone(answer.Counts)
	failed := counts[contract.OutcomeFailed] + counts[contract.OutcomeTimedOut]
	// The failure that spends the budget leaves at most the others under way.
	if failed > c.budget+c.concurrency {
		t.Errorf("%d targets failed, of %d that may and %d at once", failed, c.budget, c.concurrency)
	}
	if spent := failed > c.budget; counts[contract.OutcomeNotStarted] > 0 && !spent || spent != (answer.Status == contract.StatusFailed) {
		t.Errorf("%d targets failed, of %d that may: %s", failed, c.budget, answer.Message)
	}
	if t.Failed() {
		t.Logf("%+v", c)
	}
	return wrote
}
