package world_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// silent is a rollout, one target after the other, whose Topics become Ready when
// the test says so.
func silent(name string, targets ...contract.Target) topic {
	return topic{name: name, targets: targets, concurrency: 1, annotations: map[string]string{operator.BehaviorAnnotation: string(operator.Silent)}}
}

// The stop mark keeps targets from starting, and leaves the one under way to its own
// end.
func TestStopMark(t *testing.T) {
	r := silent("stop-mark", payments, analytics, retail)
	arn := startNamed(t, r.name, r.request(t))
	waitFor(t, payments, r.name)
	_, err := s3.NewFromConfig(shared.Engineer()).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(shared.Deployment.Bucket), Key: aws.String(runs.Prefix(r.name) + runs.Stop)})
	if err != nil {
		t.Fatal(err)
	}
	setReady(t, payments, r.name, "Ready")
	answer := answerOf(t, wait(t, arn))
	if answer.Status != contract.StatusFailed || !strings.Contains(answer.Message, "somebody stopped the rollout") ||
		answer.Counts[contract.OutcomeReady] != 1 || answer.Counts[contract.OutcomeNotStarted] != 2 {
		t.Errorf("%+v", answer)
	}
	for _, target := range r.targets[1:] {
		got := byTarget(fullReport(t, answer))[target]
		if got.Outcome != contract.OutcomeNotStarted || !strings.Contains(got.Message, "somebody stopped the rollout before this target's turn") {
			t.Error(says(got))
		}
	}
}

// An execution that is stopped the hard way can still be reported on, and a retry
// mends it.
func TestStopThenReportThenRetry(t *testing.T) {
	r := silent("hard-stop", payments, analytics)
	since := marks(t)
	arn := start(t, r.request(t))
	waitFor(t, payments, r.name)
	if _, err := sfn.NewFromConfig(shared.Engineer()).StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(arn)}); err != nil {
		t.Fatal(err)
	}
	if ended := wait(t, arn); ended.Status != types.ExecutionStatusAborted {
		t.Errorf("the execution is %s", ended.Status)
	}
	answer := reportOn(t, arn)
	report := fullReport(t, answer)
	expectSum(t, answer, report, r.targets)
	expectHonest(t, since, arn, report)
	// The function may have been stopped before it noted what it did.
	if got := report[0]; got.Outcome != contract.OutcomeStopped || got.Change != contract.Created && got.Change != contract.ChangeUnknown {
		t.Error(says(got))
	}
	if got := report[1]; got.Outcome != contract.OutcomeNotStarted {
		t.Error(says(got))
	}

	setReady(t, payments, r.name, "Ready")
	arn = start(t, retryOf(arn))
	waitFor(t, analytics, r.name)
	setReady(t, analytics, r.name, "Ready")
	answer = answerOf(t, wait(t, arn))
	if answer.Counts[contract.OutcomeUnchanged] != 1 || answer.Counts[contract.OutcomeReady] != 1 {
		t.Errorf("the retry: %+v", answer)
	}
}

// The function that changes a target goes on when its execution is stopped: until it
// must have ended, a report does not say that the target was not touched.
func TestReportJustAfterAStop(t *testing.T) {
	killer := newKiller(t)
	reached, release := make(chan struct{}), make(chan struct{})
	killer.rule("in-flight", func(call lambda.Call, _ contract.Target) bool {
		if call.Function == "crossapply-apply" && call.Operation == "PutObject" && !call.Done {
			select {
			case <-reached: // the second note
			default:
				close(reached)
				<-release
			}
		}
		return false
	})
	r := silent("in-flight", payments)
	arn := startNamed(t, r.name, r.request(t))
	letGo := sync.OnceFunc(func() { close(release) })
	defer letGo()
	<-reached
	if _, err := sfn.NewFromConfig(shared.Engineer()).StopExecution(t.Context(), &sfn.StopExecutionInput{ExecutionArn: aws.String(arn)}); err != nil {
		t.Fatal(err)
	}
	wait(t, arn)
	if got := fullReport(t, reportOn(t, arn))[0]; got.Outcome != contract.OutcomeStopped || got.Change != contract.ChangeUnknown {
		t.Error(says(got))
	}
	letGo()
	waitFor(t, payments, r.name) // so it was
}

// A retry takes the targets that did not succeed, and the options given beside it.
func TestRetryOfAFailedRollout(t *testing.T) {
	r := topic{name: "retried", targets: []contract.Target{payments, noCRD, analytics, missing, retail}, annotations: immediately(), concurrency: 1, maxFailures: "1"}
	arn := start(t, r.request(t))
	first := answerOf(t, wait(t, arn))
	expectSum(t, first, fullReport(t, first), r.targets)
	if first.Counts[contract.OutcomeReady] != 2 || first.Counts[contract.OutcomeFailed] != 2 || first.Counts[contract.OutcomeNotStarted] != 1 {
		t.Errorf("%+v", first)
	}
	retry := strings.Replace(retryOf(arn), "{", `{"rollout": {"maxFailures": 2},`, 1)
	arn = start(t, retry)
	second := answerOf(t, wait(t, arn))
	report := fullReport(t, second)
	expectSum(t, second, report, []contract.Target{noCRD, missing, retail})
	if got := report[2]; second.Status != contract.StatusSucceeded || got.Outcome != contract.OutcomeReady {
		t.Errorf("%+v: %s", second, says(got))
	}
	r.targets = []contract.Target{payments, retail}
	arn = start(t, r.request(t))
	wait(t, arn)
	third := wait(t, start(t, retryOf(arn)))
	if aws.ToString(third.Error) != string(fault.InvalidRequest) || !strings.Contains(aws.ToString(third.Cause), "all its targets succeeded") {
		t.Errorf("the retry of a success: %s %s", aws.ToString(third.Error), aws.ToString(third.Cause))
	}
}

// Targets on which a dry run would change the same are one group of the answer.
func TestDifferencesOfADryRun(t *testing.T) {
	both := topic{name: "compared", partitions: 2, targets: []contract.Target{payments, analytics}, annotations: immediately()}
	rollout(t, both)
	both.targets = append(both.targets, retail)
	both.partitions, both.apply = 5, &contract.ApplyOptions{DryRun: true}
	answer, _ := rollout(t, both)
	if len(answer.Differences) != 2 || answer.DifferencesOmitted != 0 {
		t.Fatalf("%+v", answer.Differences)
	}
	changed, created := answer.Differences[0], answer.Differences[1]
	if changed.Change != contract.Configured || changed.Total != 2 || len(changed.Targets) != 2 || changed.Fields == nil ||
		strings.Join(changed.Fields.Changed, " ") != ".spec.partitions" {
		t.Errorf("%+v %+v", changed, changed.Fields)
	}
	if created.Change != contract.Created || created.Total != 1 || created.Targets[0] != retail.String() {
		t.Errorf("%+v", created)
	}
}
