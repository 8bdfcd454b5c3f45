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
	// The first time warms the functions up; the second changes nothing, so
	// that one window sees the object Ready.
	r := topic{name: "counted", targets: []contract.Target{payments}}
	rollout(t, r)

	mark, err := shared.Cluster(payments).Mark()
	if err != nil {
		t.Fatal(err)
	}
	before := shared.AWS.Calls()
	arn := start(t, r.request(t))
	wait(t, arn)

	after := shared.AWS.Calls()
	aws := map[string]int{}
	for call, n := range after {
		if call.Service == "sts" || call.Service == "eks" || call.Service == "s3" {
			aws[call.Service+":"+call.Operation] += n - before[awsapi.Call{Account: call.Account, Service: call.Service, Operation: call.Operation}]
		}
	}
	maps.DeleteFunc(aws, func(_ string, n int) bool { return n == 0 })
	// resolve, apply and poll each assume the role once per account and
	// execution; GetCallerIdentity is the cluster's, once per token.
	expectCounts(t, "AWS", aws, map[string]int{
		"sts:AssumeRole": 3, "sts:GetCallerIdentity": 3, "eks:DescribeCluster": 1,
		// Read: targets by the Map and by report, the resource by apply, the Map's
		// manifest and one file of results by report. Written: targets and resource
		// by plan, manifest and results by the Map, the full report.
		"s3:GetObject": 5, "s3:PutObject": 5, "s3:ListObjects": 1,
	})

	kubernetes := map[string]int{}
	requests, err := shared.Cluster(payments).Requests(mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range requests {
		if strings.Contains(request.User, "assumed-role/crossapply-access/") {
			kubernetes[request.Verb+" "+request.Resource]++
		}
	}
	expectCounts(t, "Kubernetes", kubernetes, map[string]int{
		"get /apis/messaging.example.com/v1":                   1,
		"create selfsubjectaccessreviews.authorization.k8s.io": 5,
		"get topics.messaging.example.com":                     1,
		"patch topics.messaging.example.com":                   1,
		"list topics.messaging.example.com":                    1,
	})

	if got := transitions(t, arn); got != [2]int{6, 6} {
		t.Errorf("%d state transitions for the execution and %d for its target, want 6 and 6", got[0], got[1])
	}
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
