package world_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
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
	// What the functions are called with: plan and report have the execution at the
	// top, the others in their run.
	var event struct {
		Execution string
		Run       contract.Run
		Target    contract.Target
	}
	if err := json.Unmarshal([]byte(call.Event), &event); err != nil {
		return false // outside of an invocation
	}
	_, name, err := contract.ParseExecution(event.Execution + event.Run.Execution)
	if err != nil {
		return false
	}
	k.mu.Lock()
	r := k.rules[name]
	k.mu.Unlock()
	return r != nil && r(call, event.Target)
}

// killPoint is a place where a function dies: before or after its n-th call, once
// or at every attempt.
type killPoint struct {
	function    string
	n           int
	done, again bool
}

func (p killPoint) String() string {
	when, often := "before", "once"
	if p.done {
		when = "after"
	}
	if p.again {
		often = "always"
	}
	return fmt.Sprintf("%s-%s-%s-%d", p.function, often, when, p.n)
}

// Each function is killed before and after each of its calls. Killed once, it is
// called again, and nothing is lost. Killed at every attempt, the target or the
// execution fails; but no target that was touched is reported as untouched, and a
// retry mends all.
func TestKilledAtEveryCall(t *testing.T) {
	killer := newKiller(t)
	for _, function := range deployment.FunctionNames() {
		for _, again := range []bool{false, true} {
			for _, done := range []bool{false, true} {
				p := killPoint{function: function, done: done, again: again}
				name, _ := strings.CutSuffix(p.String(), "-0")
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					p.n = 1
					for killedAt(t, killer, p) {
						p.n++
					}
					if p.n == 1 {
						t.Error("the function makes no call")
					}
				})
			}
		}
	}
}

// killedAt runs an execution whose function is killed at a point, and says whether
// it was: not where the function makes fewer calls.
func killedAt(t *testing.T, killer *killer, p killPoint) bool {
	t.Helper()
	var killed atomic.Int32
	name := p.String()
	killer.rule(name, func(call lambda.Call, _ contract.Target) bool {
		return call.Function == "crossapply-"+p.function && call.N == p.n && call.Done == p.done && (killed.Add(1) == 1 || p.again)
	})
	targets := healthy()
	target := targets[p.n%len(targets)]
	r := topic{name: name, annotations: immediately(), targets: []contract.Target{target}}
	if p.function == "poll" && p.again {
		r.timeout = 2 // poll is called until then
	}
	since := marks(t)
	arn := startNamed(t, name, r.request(t))
	ended := wait(t, arn)
	fail := func(format string, args ...any) { t.Errorf(name+": "+format, args...) }

	if !p.again || killed.Load() == 0 {
		if got := outcomeAt(t, ended, target); got.Outcome != contract.OutcomeReady || got.Change != contract.Created {
			fail("%s", says(got))
		}
		return killed.Load() > 0
	}
	if p.function == "plan" && ended.Status == types.ExecutionStatusFailed {
		if written(t, since, arn, target) {
			fail("a target was touched without a plan")
		}
	} else {
		killer.rule(name, nil)
		report := fullReport(t, reportOn(t, arn))
		expectHonest(t, since, arn, report)
		if report[0].Outcome.Succeeded() {
			return true // all that died was the report, or a later attempt made fewer calls
		}
	}
	again := wait(t, start(t, retryOf(arn)))
	if p.function == "plan" && aws.ToString(again.Error) == string(fault.InvalidRequest) {
		// There is no plan to retry: the same request is started anew.
		again = wait(t, start(t, r.request(t)))
	}
	if got := outcomeAt(t, again, target); !got.Outcome.Succeeded() {
		fail("the retry: %s", says(got))
	}
	return true
}

func outcomeAt(t *testing.T, ended *sfn.DescribeExecutionOutput, target contract.Target) contract.Result {
	t.Helper()
	return byTarget(fullReport(t, answerOf(t, ended)))[target]
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
