package world_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/shared/contract"
)

// What one target costs in calls and state transitions is a promise: a change
// of these numbers is a change that users pay for.
func TestCallsPerTarget(t *testing.T) {
	r := topic{name: "counted", targets: []contract.Target{payments}}
	// resolve, apply and poll each assume the role once per account and execution;
	// GetCallerIdentity is the cluster's, once per token. The functions read: plan
	// the lock of an earlier execution, apply the resource, report the plan, the
	// targets, the Map's manifest and one file of results; the Map reads the targets.
	// They write: plan lock, request, resource, targets and plan, apply the journal
	// twice, report the report; the Map writes manifest and results. resolve lists
	// the marks, report the run.
	t.Run("first apply", func(t *testing.T) {
		got := count(t, r)
		expectCounts(t, "AWS", got.aws, map[string]int{
			"sts:AssumeRole": 3, "sts:GetCallerIdentity": 3, "eks:DescribeCluster": 1,
			"s3:GetObject": 6, "s3:PutObject": 10, "s3:ListObjects": 2,
		})
		expectCounts(t, "Kubernetes", got.kubernetes, map[string]int{
			"get /apis/messaging.example.com/v1":                   1,
			"create selfsubjectaccessreviews.authorization.k8s.io": 4,
			"get topics.messaging.example.com":                     1,
			"patch topics.messaging.example.com":                   1,
			"watch topics.messaging.example.com":                   2, // the operator takes two windows
		})
		if got.transitions != [2]int{6, 9} {
			t.Errorf("%d state transitions for the execution and %d for its target, want 6 and 9", got.transitions[0], got.transitions[1])
		}
	})
	t.Run("unchanged", func(t *testing.T) {
		got := count(t, r)
		expectCounts(t, "AWS", got.aws, map[string]int{
			"sts:AssumeRole": 2, "sts:GetCallerIdentity": 2, "eks:DescribeCluster": 1,
			"s3:GetObject": 7, "s3:PutObject": 11, "s3:ListObjects": 2,
		})
		expectCounts(t, "Kubernetes", got.kubernetes, map[string]int{
			"get /apis/messaging.example.com/v1":                   1,
			"create selfsubjectaccessreviews.authorization.k8s.io": 4,
			"get topics.messaging.example.com":                     1,
			"patch topics.messaging.example.com":                   1,
		})
		// With the Map's start of the child, AWS bills one more for the target.
		if got.transitions != [2]int{6, 4} {
			t.Errorf("%d state transitions for the execution and %d for its target, want 6 and 4", got.transitions[0], got.transitions[1])
		}
	})
}

// counts are what an execution with one target costs.
type counts struct {
	aws, kubernetes map[string]int
	transitions     [2]int // of the execution, and of its target
}

func count(t *testing.T, r topic) counts {
	t.Helper()
	mark, err := shared.Cluster(payments).Mark()
	if err != nil {
		t.Fatal(err)
	}
	before := shared.AWS.Calls()
	arn := start(t, r.request(t))
	wait(t, arn)

	got := counts{aws: map[string]int{}, kubernetes: map[string]int{}, transitions: transitions(t, arn)}
	for call, n := range shared.AWS.Calls() {
		if call.Service == "sts" || call.Service == "eks" || call.Service == "s3" {
			got.aws[call.Service+":"+call.Operation] += n - before[awsapi.Call{Account: call.Account, Service: call.Service, Operation: call.Operation}]
		}
	}
	maps.DeleteFunc(got.aws, func(_ string, n int) bool { return n == 0 })
	requests, err := shared.Cluster(payments).Requests(mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range requests {
		if strings.Contains(request.User, "assumed-role/crossapply-access/") {
			got.kubernetes[request.Verb+" "+request.Resource]++
		}
	}
	return got
}

func expectCounts(t *testing.T, what string, got, want map[string]int) {
	t.Helper()
	for call, n := range want {
		if got[call] != n {
			t.Errorf("%s: %d × %s, want %d", what, got[call], call, n)
		}
	}
	for call, n := range got {
		if _, known := want[call]; !known {
			t.Errorf("%s: %d × %s, which is not expected at all", what, n, call)
		}
	}
	t.Logf("%s: %v", what, got)
}

// transitions counts the states entered by an execution and by its one child.
func transitions(t *testing.T, arn string) [2]int {
	t.Helper()
	api := sfn.NewFromConfig(shared.Engineer())
	entered := func(arn *string) int {
		history, err := api.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: arn, MaxResults: 1000})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, event := range history.Events {
			if event.StateEnteredEventDetails != nil {
				n++
			}
		}
		return n
	}
	runs, err := api.ListMapRuns(t.Context(), &sfn.ListMapRunsInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		t.Fatal(err)
	}
	children, err := api.ListExecutions(t.Context(), &sfn.ListExecutionsInput{MapRunArn: runs.MapRuns[0].MapRunArn})
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{entered(aws.String(arn)), entered(children.Executions[0].ExecutionArn)}
}
