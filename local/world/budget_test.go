package world_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// A budget that is spent starts no other target, and leaves those that are under
// way to their own ends.
func TestBudgetLeavesTargetsToTheirEnds(t *testing.T) {
	// Of four at a time the first two fail, and the next two are slow. When one has
	// failed, which is within the budget, noRBAC may still start. After that, the
	// last can only be asked when the gate is closed.
	fleet := []contract.Target{missing, noCRD, payments, analytics, noRBAC, paymentsUS, analyticsEU, retail}
	last := make(chan struct{})
	var asked sync.Once
	killer := newKiller(t)
	killer.rule("spent", func(call lambda.Call, target contract.Target) bool {
		if target == retail && call.Done {
			asked.Do(func() { close(last) })
		}
		return false
	})
	since := marks(t)
	arn := startNamed(t, "spent", topic{
		name: "spent", targets: fleet, annotations: map[string]string{operator.BehaviorAnnotation: string(operator.Silent)},
		concurrency: 4, maxFailures: "1", grace: aws.Int(0),
	}.request(t))
	<-last
	waitFor(t, payments, "spent")
	setReady(t, payments, "spent", "Ready")
	waitFor(t, analytics, "spent")
	setReady(t, analytics, "spent", "Stalled")

	answer := answerOf(t, wait(t, arn))
	report := fullReport(t, answer)
	expectSum(t, answer, report, fleet)
	results := byTarget(report)
	if got := results[payments]; got.Outcome != contract.OutcomeReady || got.Change != contract.Created {
		t.Errorf("the slow one: %s", says(got))
	}
	if got := results[analytics]; got.Error != string(fault.ResourceFailed) || got.Change != contract.Created {
		t.Errorf("the slow one that fails: %s", says(got))
	}
	if results[missing].Error != string(fault.ClusterNotFound) || results[noCRD].Error != string(fault.KindNotServed) {
		t.Errorf("the two that fail: %+v", answer)
	}
	for _, target := range fleet[5:] {
		if got := results[target]; got.Outcome != contract.OutcomeNotStarted {
			t.Errorf("after the budget was spent: %s", says(got))
		}
	}
	if answer.Status != contract.StatusFailed {
		t.Errorf("%+v", answer)
	}
	expectHonest(t, since, arn, report)
}

// expectSum fails where the outcomes of an answer and its report do not add up to
// the targets of the request, in their order.
func expectSum(t *testing.T, answer contract.Answer, report []contract.Result, targets []contract.Target) {
	t.Helper()
	var reported []contract.Target
	counts := map[contract.Outcome]int{}
	for _, result := range report {
		reported = append(reported, result.Target)
		counts[result.Outcome]++
	}
	if !slices.Equal(reported, targets) {
		t.Errorf("reported are %v, want %v", reported, targets)
	}
	sum := 0
	for outcome, n := range answer.Counts {
		sum += n
		if counts[outcome] != n {
			t.Errorf("the answer counts %d %s, and the report holds %d", n, outcome, counts[outcome])
		}
	}
	if sum != len(targets) || answer.Total != len(targets) {
		t.Errorf("%d outcomes of %d targets, want %d: %v", sum, answer.Total, len(targets), answer.Counts)
	}
}
