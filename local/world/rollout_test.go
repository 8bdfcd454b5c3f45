package world_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

func TestReadyThenUnchanged(t *testing.T) {
	both := []contract.Target{payments, analytics}
	answer, results := rollout(t, topic{name: "orders", partitions: 3, targets: both})
	if answer.Counts[contract.OutcomeReady] != 2 || answer.Total != 2 {
		t.Fatalf("%+v", answer)
	}
	for _, target := range both {
		if got := results[target]; got.Change != contract.Created || got.Generation != 1 || got.Seconds < operatorDelay.Seconds() {
			t.Errorf("%s: %+v", target, got)
		}
		stored := get(t, target, "orders")
		for _, entry := range stored.GetManagedFields() {
			if entry.Manager == "crossapply" && entry.Operation == metav1.ManagedFieldsOperationApply {
				continue
			}
			if entry.Subresource != "status" {
				t.Errorf("%s: managed by %s (%s)", target, entry.Manager, entry.Operation)
			}
		}
		if got := stored.Object["spec"].(map[string]any)["partitions"]; got != int64(3) {
			t.Errorf("%s: spec.partitions = %v", target, got)
		}
	}

	answer, _ = rollout(t, topic{name: "orders", partitions: 3, targets: both})
	if answer.Counts[contract.OutcomeUnchanged] != 2 {
		t.Fatalf("the second time: %+v", answer)
	}
	if got := get(t, payments, "orders").GetGeneration(); got != 1 {
		t.Errorf("an apply that changes nothing raised the generation to %d", got)
	}

	_, results = rollout(t, topic{name: "orders", partitions: 5, targets: both})
	for _, target := range both {
		if got := results[target]; got.Outcome != contract.OutcomeReady || got.Change != contract.Configured || got.Generation != 2 {
			t.Errorf("after a change: %s: %+v", target, got)
		}
	}
}

// Each thing that can be wrong with a target ends it with its own error, and
// hurts no other.
func TestTroubledTargets(t *testing.T) {
	want := map[contract.Target]struct {
		name fault.Name
		says string
	}{
		noRBAC:   {fault.Forbidden, "RBAC does not allow the access role to get, create, patch, watch topics.messaging.example.com in namespace kafka"},
		unmapped: {fault.Unauthenticated, ""},
		noCRD:    {fault.KindNotServed, "does not serve messaging.example.com/v1 Topic"},
		creating: {fault.ClusterNotActive, "is CREATING, not ACTIVE"},
		down:     {fault.ClusterUnreachable, "connection refused"},
		foreign:  {fault.AssumeRoleDenied, "assume arn:aws:iam::444444444444:role/crossapply-access"},
		missing:  {fault.ClusterNotFound, "No cluster found for name: missing"},
	}
	r := topic{name: "troubled", targets: []contract.Target{payments}, maxFailures: `7`}
	for target := range want {
		r.targets = append(r.targets, target)
	}
	r.targets = append(r.targets, analytics)
	answer, results := rollout(t, r)
	if answer.Status != contract.StatusSucceeded || answer.Counts[contract.OutcomeReady] != 2 || answer.Counts[contract.OutcomeFailed] != 7 {
		t.Errorf("%s", answer.Message)
	}
	for target, want := range want {
		got := results[target]
		if got.Outcome != contract.OutcomeFailed || got.Error != string(want.name) {
			t.Errorf("%s: %s %s (%s), want %s", target, got.Outcome, got.Error, got.Message, want.name)
		}
		if !strings.HasPrefix(got.Message, target.String()+": ") || !strings.Contains(got.Message, want.says) {
			t.Errorf("%s: the message is %q, want %q in it", target, got.Message, want.says)
		}
	}
}

func TestReadiness(t *testing.T) {
	behave := func(b operator.Behavior) map[string]string {
		return map[string]string{operator.BehaviorAnnotation: string(b)}
	}
	tests := []struct {
		name     string
		behavior operator.Behavior
		twice    bool // change the Topic after it is Ready, and look at that
		outcome  contract.Outcome
		err      fault.Name
		says     string
	}{
		{
			name: "never", behavior: operator.Silent, outcome: contract.OutcomeTimedOut, err: fault.ReadyTimeout,
			says: "was not Ready within 4 seconds, by condition Ready: the operator has not written a status yet",
		},
		{name: "stalled", behavior: operator.Stalled, outcome: contract.OutcomeFailed, err: fault.ResourceFailed, says: "Stalled=True"},
		{name: "late", behavior: operator.Late, twice: true, outcome: contract.OutcomeReady},
		{
			name: "stale", behavior: operator.Stale, twice: true, outcome: contract.OutcomeTimedOut, err: fault.ReadyTimeout,
			says: "the operator has not looked at generation 2 yet: Ready=True",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := topic{name: test.name, partitions: 1, annotations: behave(test.behavior), targets: []contract.Target{analytics}, timeout: 4, maxFailures: `1`}
			if test.twice {
				if _, results := rollout(t, r); results[analytics].Outcome != contract.OutcomeReady {
					t.Fatalf("the first time: %+v", results[analytics])
				}
				r.partitions = 2
			}
			began := time.Now()
			_, results := rollout(t, r)
			got := results[analytics]
			if got.Outcome != test.outcome || got.Error != string(test.err) || !strings.Contains(got.Message, test.says) {
				t.Errorf("%s %s by %s: %s", got.Outcome, got.Error, got.Proof, got.Message)
			}
			if test.outcome == contract.OutcomeReady {
				if got.Generation != 2 {
					t.Errorf("Ready for generation %d", got.Generation)
				}
				if took := time.Since(began); took < operatorDelay {
					t.Errorf("the stale Ready=True was believed: done after %s", took)
				}
			}
		})
	}
}

func TestDeletedWhileWaiting(t *testing.T) {
	r := topic{name: "vanishing", annotations: map[string]string{operator.BehaviorAnnotation: string(operator.Silent)}, targets: []contract.Target{payments}, maxFailures: "1"}
	arn := start(t, r.request(t))
	waitFor(t, payments, "vanishing")
	if err := topics(t, payments).Delete(t.Context(), "vanishing", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ended := wait(t, arn)
	var answer contract.Answer
	if err := json.Unmarshal([]byte(aws.ToString(ended.Output)), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Failed) != 1 || answer.Failed[0].Error != string(fault.NotFound) {
		t.Errorf("%+v", answer)
	}
}

// A conflict names the field and its owner, and only force takes it over.
func TestConflict(t *testing.T) {
	other := object("contested", 2)
	if _, err := topics(t, payments).Apply(t.Context(), "contested", other, metav1.ApplyOptions{FieldManager: "capacity-team"}); err != nil {
		t.Fatal(err)
	}
	r := topic{name: "contested", partitions: 4, targets: []contract.Target{payments}, maxFailures: "1"}
	_, results := rollout(t, r)
	got := results[payments]
	if got.Error != string(fault.Conflict) || !strings.Contains(got.Message, `.spec.partitions: conflict with "capacity-team"`) {
		t.Errorf("%+v", got)
	}
	r.apply = &contract.ApplyOptions{Force: true}
	if _, results = rollout(t, r); results[payments].Outcome != contract.OutcomeReady {
		t.Errorf("with force: %+v", results[payments])
	}
}

// A field that the schema does not know, or of another type, is the request's
// fault and not the cluster's: it is not retried.
func TestMistyped(t *testing.T) {
	for says, change := range map[string][2]string{
		".spec.colour: field not declared in schema": {`"partitions":3`, `"partitions":3,"colour":"red"`},
		".spec.partitions: expected numeric":         {`"partitions":3`, `"partitions":"three"`},
	} {
		request := topic{name: "mistyped", partitions: 3, targets: []contract.Target{payments}, maxFailures: "1"}.request(t)
		began := time.Now()
		ended := wait(t, start(t, strings.Replace(request, change[0], change[1], 1)))
		var answer contract.Answer
		if err := json.Unmarshal([]byte(aws.ToString(ended.Output)), &answer); err != nil {
			t.Fatal(err)
		}
		if len(answer.Failed) != 1 || answer.Failed[0].Error != string(fault.Invalid) || !strings.Contains(answer.Failed[0].Message, says) {
			t.Errorf("%+v", answer)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it was retried for %s", took)
		}
	}
}

func TestInvalid(t *testing.T) {
	_, results := rollout(t, topic{name: "too-large", partitions: 5000, targets: []contract.Target{payments}, maxFailures: "1"})
	got := results[payments]
	if got.Error != string(fault.Invalid) || !strings.Contains(got.Message, "spec.partitions") {
		t.Errorf("%+v", got)
	}
}

// What a dry run finds has outcomes of its own: nothing was applied.
func TestDryRun(t *testing.T) {
	dry := &contract.ApplyOptions{DryRun: true}
	expect := func(partitions int, change contract.Change, outcome contract.Outcome) {
		t.Helper()
		answer, results := rollout(t, topic{name: "preview", partitions: partitions, targets: []contract.Target{payments}, apply: dry})
		if got := results[payments]; got.Change != change || got.Outcome != outcome || !answer.DryRun {
			t.Errorf("%+v", got)
		}
	}
	expect(1, contract.Created, contract.OutcomeWouldCreate)
	if _, err := topics(t, payments).Get(t.Context(), "preview", metav1.GetOptions{}); err == nil {
		t.Error("a dry run created the object")
	}
	rollout(t, topic{name: "preview", partitions: 1, targets: []contract.Target{payments}})
	expect(1, contract.Unchanged, contract.OutcomeUnchanged)
	expect(2, contract.Configured, contract.OutcomeWouldChange)
	if got := get(t, payments, "preview").GetGeneration(); got != 1 {
		t.Errorf("a dry run raised the generation to %d", got)
	}
}

// Once more targets have failed than may, none starts, and the execution fails with
// the same answer as its cause.
func TestFailureBudget(t *testing.T) {
	answer, results := rollout(t, topic{name: "budget", targets: []contract.Target{missing, payments, analytics}, concurrency: 1})
	if answer.Status != contract.StatusFailed || answer.RolloutError != nil || answer.Counts[contract.OutcomeNotStarted] != 2 {
		t.Errorf("%+v", answer)
	}
	if results[missing].Error != string(fault.ClusterNotFound) || results[missing].Change != contract.ChangeNone ||
		results[payments].Outcome != contract.OutcomeNotStarted || results[analytics].Outcome != contract.OutcomeNotStarted {
		t.Errorf("%+v", results)
	}
	if _, err := topics(t, payments).Get(t.Context(), "budget", metav1.GetOptions{}); err == nil {
		t.Error("a target was touched after the budget was spent")
	}
}

// A request that is not in order ends before any account was called.
func TestBadInput(t *testing.T) {
	calls := func() int {
		return shared.AWS.CallsTo("sts", "AssumeRole") + shared.AWS.CallsTo("eks", "DescribeCluster") + shared.AWS.CallsTo("s3", "PutObject")
	}
	before := calls()
	for _, input := range []string{`{}`, `[]`, `"x"`, `{"resource": {}, "targets": []}`, `{"targets": [{"account": "x"}], "oops": 1}`,
		strings.Replace(topic{name: "rounded", partitions: 7, targets: []contract.Target{payments}}.request(t), `"partitions":7`, `"partitions":9007199254740993`, 1),
		topic{name: "../../secrets", targets: []contract.Target{payments}}.request(t)} {
		ended := wait(t, start(t, input))
		if ended.Status != types.ExecutionStatusFailed || aws.ToString(ended.Error) != string(fault.InvalidRequest) {
			t.Errorf("%s: %s with %s", input, ended.Status, aws.ToString(ended.Error))
		}
	}
	if after := calls(); after != before {
		t.Errorf("%d calls were made", after-before)
	}
}

// Of executions with one idempotency key, however close together, one does the
// work, and the others end as it does, with its answer.
func TestIdempotencyKey(t *testing.T) {
	request := strings.Replace(topic{name: "once", targets: []contract.Target{payments}}.request(t), "{", `{"idempotencyKey": "nightly/1",`, 1)
	var arns []string
	for range 3 {
		arns = append(arns, start(t, request))
	}
	answers := map[string]int{}
	var first contract.Answer
	for _, arn := range arns {
		ended := wait(t, arn)
		answers[aws.ToString(ended.Output)]++
		if err := json.Unmarshal([]byte(aws.ToString(ended.Output)), &first); err != nil {
			t.Fatal(err)
		}
	}
	if len(answers) != 1 || first.Counts[contract.OutcomeReady] != 1 || !slices.Contains(arns, first.Execution) {
		t.Errorf("%v", answers)
	}
}

// Two executions do not work on one resource at the same time.
func TestExclusive(t *testing.T) {
	r := topic{name: "busy", annotations: map[string]string{operator.BehaviorAnnotation: string(operator.Late)}, targets: []contract.Target{payments}}
	first := start(t, r.request(t))
	waitFor(t, payments, "busy")
	second := wait(t, start(t, r.request(t)))
	if aws.ToString(second.Error) != string(fault.ResourceBusy) || !strings.Contains(aws.ToString(second.Cause), first) {
		t.Errorf("the second is %s with %s: %s", second.Status, aws.ToString(second.Error), aws.ToString(second.Cause))
	}
	if ended := wait(t, first); ended.Status != types.ExecutionStatusSucceeded {
		t.Errorf("the first is %s: %s", ended.Status, aws.ToString(ended.Cause))
	}
	if answer, _ := rollout(t, r); answer.Counts[contract.OutcomeUnchanged] != 1 {
		t.Errorf("after the first: %s", answer.Message)
	}
}

// An API server that goes away while a target waits, and comes back, costs a few
// retries and nothing else.
func TestAPIServerRestarts(t *testing.T) {
	r := topic{name: "restart", annotations: map[string]string{operator.BehaviorAnnotation: string(operator.Late)}, targets: []contract.Target{analytics}}
	arn := start(t, r.request(t))
	waitFor(t, analytics, "restart")
	cluster := shared.Cluster(analytics)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ended := wait(t, arn); ended.Status != types.ExecutionStatusSucceeded {
		t.Errorf("%s: %s", ended.Status, aws.ToString(ended.Cause))
	}
}
