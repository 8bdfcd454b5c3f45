package world_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
)

// killer kills functions at their calls, as the rules of the executions say that
// they work for.
type killer struct {
	mu    sync.Mutex
	rules map[string]rule // by the name of the execution
}

// rule says whether to kill the function that makes a call. The target is the zero
// value where the function works for all of them.
type rule func(call lambda.Call, target contract.Target) bool

// newKiller returns a killer that works until the end of the test.
func newKiller(t *testing.T) *killer {
	k := &killer{rules: map[string]rule{}}
	shared.AWS.Lambda.OnCall(k.kills)
	t.Cleanup(func() { shared.AWS.Lambda.OnCall(nil) })
	return k
}

func (k *killer) rule(execution string, r rule) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rules[execution] = r
}

func (k *killer) kills(call lambda.Call) bool {
	name, target, ok := world.Invocation(call.Event)
	if !ok {
		return false
	}
	k.mu.Lock()
	r := k.rules[name]
	k.mu.Unlock()
	return r != nil && r(call, target)
}

// point is a call at which a function dies: before the call, or after it. After one is
// before the next, so only the first is one to die before.
type point struct {
	function string
	n        int
	done     bool
}

func (p point) String() string {
	when := "before"
	if p.done {
		when = "after"
	}
	return fmt.Sprintf("%s-%s-%d", p.function, when, p.n)
}

// Each function is killed once, before its first call and after each, in a rollout by a
// selector, in two waves with a bake time: it is called again, and the rollout ends as
// if nothing had happened.
func TestKilledOnce(t *testing.T) {
	killer := newKiller(t)
	var mu sync.Mutex
	calls := map[string]int{} // of each function
	name := "undisturbed"
	killer.rule(name, func(call lambda.Call, _ contract.Target) bool {
		mu.Lock()
		defer mu.Unlock()
		if !call.Done {
			calls[call.Function]++
		}
		return false
	})
	want := endOf(t, startNamed(t, name, phased(name).request(t)))
	for _, function := range deployment.FunctionNames() {
		if calls["crossapply-"+function] == 0 {
			t.Errorf("%s makes no call", function)
		}
		for n := range calls["crossapply-"+function] {
			points := []point{{function: function, n: n + 1, done: true}}
			if n == 0 {
				points = append(points, point{function: function, n: 1})
			}
			for _, p := range points {
				t.Run(p.String(), func(t *testing.T) {
					t.Parallel()
					expectEnd(t, killedOnce(t, killer, p), want)
				})
			}
		}
	}
}

// killedOnce runs the rollout whose function is killed at a point.
func killedOnce(t *testing.T, killer *killer, p point) end {
	t.Helper()
	var made atomic.Int32
	name := "once-" + p.String()
	killer.rule(name, func(call lambda.Call, _ contract.Target) bool {
		return call.Function == "crossapply-"+p.function && call.Done == p.done && int(made.Add(1)) == p.n
	})
	got := endOf(t, startNamed(t, name, phased(name).request(t)))
	// How often poll is called depends on when the operator is done.
	if int(made.Load()) < p.n && p.function != "poll" {
		t.Errorf("there were only %d calls", made.Load())
	}
	return got
}

// end is how an execution ended, without what differs from one to the next.
type end struct {
	route   []string // see [route]
	answer  contract.Answer
	results []contract.Result
}

func endOf(t *testing.T, arn string) end {
	t.Helper()
	answer := answerOf(t, wait(t, arn))
	e := end{route: route(t, arn), results: fullReport(t, answer)}
	e.answer = contract.Answer{Status: answer.Status, Total: answer.Total, Counts: answer.Counts, Waves: answer.Waves, Proofs: answer.Proofs, RolloutError: answer.RolloutError}
	for i := range e.results {
		e.results[i].Seconds = 0
	}
	return e
}

func expectEnd(t *testing.T, got, want end) {
	t.Helper()
	if !slices.Equal(got.route, want.route) {
		t.Errorf("the route is %q, want %q", got.route, want.route)
	}
	if !reflect.DeepEqual(got.answer, want.answer) {
		t.Errorf("the answer is %+v, want %+v", got.answer, want.answer)
	}
	if !reflect.DeepEqual(got.results, want.results) {
		t.Errorf("the results are %v, want %v", got.results, want.results)
	}
}

// route returns the states that an execution went through, but for deciding and
// waiting: where a killed function has used up the time to bake, there is none to wait.
func route(t *testing.T, arn string) []string {
	t.Helper()
	history, err := sfn.NewFromConfig(shared.Engineer()).GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: aws.String(arn), MaxResults: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, event := range history.Events {
		if entered := event.StateEnteredEventDetails; entered != nil {
			if name := aws.ToString(entered.Name); !slices.Contains([]string{"Review", "Next phase?", "Wait"}, name) {
				states = append(states, name)
			}
		}
	}
	return states
}

// Each function is killed at every attempt, before its first call and after each, in a
// rollout by a selector in two waves: the target or the execution fails. But no target
// that was touched is reported as untouched, and a retry mends all.
func TestKilledAlways(t *testing.T) {
	killer := newKiller(t)
	for _, function := range deployment.FunctionNames() {
		for _, done := range []bool{false, true} {
			p := point{function: function, done: done}
			name, _ := strings.CutSuffix(p.String(), "-0")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p.n = 1
				for killedAlways(t, killer, p) && done {
					p.n++
				}
				if done && p.n == 1 {
					t.Error("the function makes no call")
				}
			})
		}
	}
}

// killedAlways runs an execution whose function is killed at the n-th call of each
// invocation, and says whether it was: not where the function makes fewer calls.
func killedAlways(t *testing.T, killer *killer, p point) bool {
	t.Helper()
	var killed atomic.Bool
	name := "always-" + p.String()
	killer.rule(name, func(call lambda.Call, _ contract.Target) bool {
		kill := call.Function == "crossapply-"+p.function && call.N == p.n && call.Done == p.done
		if kill {
			killed.Store(true)
		}
		return kill
	})
	r := phased(name)
	r.waves[0].BakeSeconds = nil
	if p.function == "poll" {
		r.timeout = 2 // it is called until then
	}
	since := marks(t)
	arn := startNamed(t, name, r.request(t))
	ended := wait(t, arn)
	if !killed.Load() {
		expectReady(t, name, ended)
		return false
	}
	if p.function == "plan" && ended.Status == types.ExecutionStatusFailed {
		if written(t, since, arn, payments) || written(t, since, arn, paymentsUS) {
			t.Errorf("%s: a target was touched without a plan", name)
		}
	} else {
		killer.rule(name, nil)
		report := fullReport(t, reportOn(t, arn))
		expectHonest(t, since, arn, report)
		if !slices.ContainsFunc(report, func(r contract.Result) bool { return !r.Outcome.Succeeded() }) {
			return true // all that died came after the last target, or a later attempt made fewer calls
		}
	}
	again := wait(t, start(t, retryOf(arn)))
	if p.function == "plan" && aws.ToString(again.Error) == string(fault.InvalidRequest) {
		// There is no plan to retry: the same request is started anew.
		again = wait(t, start(t, r.request(t)))
	}
	expectReady(t, name+": the retry", again)
	return true
}

// expectReady fails where not every target has the Topic.
func expectReady(t *testing.T, what string, ended *sfn.DescribeExecutionOutput) {
	t.Helper()
	answer := answerOf(t, ended)
	if answer.Status != contract.StatusSucceeded {
		t.Errorf("%s: %s", what, answer.Message)
	}
	for _, result := range fullReport(t, answer) {
		if !result.Outcome.Succeeded() {
			t.Errorf("%s: %s", what, says(result))
		}
	}
}

// A process dies every 150 ms, whichever it is, while 24 rollouts of four targets
// run: all come to a good end.
func TestKilledAtRandom(t *testing.T) {
	const rollouts, pause = 24, 150 * time.Millisecond
	targets := healthy()[:4]
	var arns []string
	for i := range rollouts {
		arns = append(arns, start(t, topic{name: fmt.Sprintf("random-%d", i), targets: targets}.request(t)))
	}
	random := rand.New(rand.NewPCG(7, 150))
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	ended, killed := make(chan error), 0
	go func() {
		var errs []error
		for _, arn := range arns {
			errs = append(errs, shared.States.Wait(t.Context(), arn))
		}
		ended <- errors.Join(errs...)
	}()
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		case <-ticker.C:
			if shared.AWS.Lambda.KillAny(random.IntN) {
				killed++
			}
		}
	}
	ready := 0
	for _, arn := range arns {
		answer := answerOf(t, wait(t, arn))
		ready += answer.Counts[contract.OutcomeReady]
		for _, failed := range answer.Failed {
			t.Errorf("%s", says(failed))
		}
	}
	if ready != rollouts*len(targets) || killed == 0 {
		t.Errorf("%d of %d are Ready, after %d kills", ready, rollouts*len(targets), killed)
	}
}
