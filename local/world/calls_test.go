package world_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/docs/cost"
	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/contract"
)

// What one target costs in calls and state transitions is a promise: a change
// of these numbers is a change that users pay for.
func TestCallsPerTarget(t *testing.T) {
	r := topic{name: "counted", targets: []contract.Target{payments}}
	t.Run("changed", func(t *testing.T) {
		// The operator takes two windows.
		expectPart(t, count(t, r), cost.Sum(cost.Execution, cost.Changed, cost.Window))
	})
	t.Run("unchanged", func(t *testing.T) {
		expectPart(t, count(t, r), cost.Sum(cost.Execution, cost.Again, cost.Unchanged))
	})
	t.Run("in two waves", func(t *testing.T) {
		// The second is on another cluster, whose requests are not counted.
		two := r
		two.targets = append(two.targets, analytics)
		two.waves = []contract.Wave{{Count: aws.Int(1)}, {}}
		count(t, two) // so that both have the Topic
		second := cost.Unchanged
		second.Kubernetes = nil
		expectPart(t, count(t, two), cost.Sum(cost.Execution, cost.Again, cost.Unchanged, cost.Phase, second))
	})
	t.Run("after a bake time", func(t *testing.T) {
		r.waves = []contract.Wave{{BakeSeconds: aws.Int(1)}}
		// Twice review reads how the wave ended, and once its results again, to list what is
		// looked at. The functions still have their sessions and tokens, and need no resource.
		check := cost.Part{
			States: 4, Starts: 1,
			Invocations: cost.Calls{"resolve": 1, "apply": 1},
			AWS:         cost.Calls{"eks:DescribeCluster": 1, "s3:GetObject": 4, "s3:ListObjects": 2},
			Kubernetes:  cost.Calls{"discovery": 1, "access review": 1, "get": 1},
		}
		expectPart(t, count(t, r), cost.Sum(cost.Execution, cost.Again, cost.Unchanged, cost.Pause, cost.Phase, check))
	})
}

func expectPart(t *testing.T, got, want cost.Part) {
	t.Helper()
	if got.States != want.States || got.Starts != want.Starts {
		t.Errorf("%d states and %d starts of children, want %d and %d", got.States, got.Starts, want.States, want.Starts)
	}
	expectCounts(t, "functions", got.Invocations, want.Invocations)
	expectCounts(t, "AWS", got.AWS, want.AWS)
	expectCounts(t, "Kubernetes", got.Kubernetes, want.Kubernetes)
}

// count runs an execution and counts what it does, of Kubernetes that of payments alone.
func count(t *testing.T, r topic) cost.Part {
	t.Helper()
	mark, err := shared.Cluster(payments).Mark()
	if err != nil {
		t.Fatal(err)
	}
	before := shared.AWS.Calls()
	arn := start(t, r.request(t))
	wait(t, arn)

	got := steps(t, arn)
	got.AWS, got.Kubernetes = cost.Calls{}, cost.Calls{}
	for call, n := range shared.AWS.Calls() {
		if slices.Contains([]string{"sts", "eks", "s3", "events"}, call.Service) {
			got.AWS[call.Service+":"+call.Operation] += n - before[awsapi.Call{Account: call.Account, Service: call.Service, Operation: call.Operation}]
		}
	}
	maps.DeleteFunc(got.AWS, func(_ string, n int) bool { return n == 0 })
	requests, err := shared.Cluster(payments).Requests(mark)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range requests {
		if strings.Contains(request.User, "assumed-role/crossapply-access/") {
			got.Kubernetes[kindOf(request)]++
		}
	}
	return got
}

// kindOf says what a request to a cluster is for.
func kindOf(request cluster.Request) string {
	switch {
	case strings.HasPrefix(request.Resource, "/"):
		return "discovery"
	case request.Resource == "selfsubjectaccessreviews.authorization.k8s.io":
		return "access review"
	case request.Resource == "topics.messaging.example.com":
		return request.Verb
	}
	return request.Verb + " " + request.Resource
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

// steps counts the states that an execution and its children entered, the children,
// and the invocations of functions.
func steps(t *testing.T, arn string) cost.Part {
	t.Helper()
	api := sfn.NewFromConfig(shared.Engineer())
	counted := cost.Part{Invocations: cost.Calls{}}
	add := func(arn *string) {
		history, err := api.GetExecutionHistory(t.Context(), &sfn.GetExecutionHistoryInput{ExecutionArn: arn, MaxResults: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range history.Events {
			if event.StateEnteredEventDetails != nil {
				counted.States++
			}
			if task := event.TaskScheduledEventDetails; task != nil && aws.ToString(task.ResourceType) == "lambda" {
				counted.Invocations[invoked(t, task)]++
			}
		}
	}
	add(aws.String(arn))
	runs, err := api.ListMapRuns(t.Context(), &sfn.ListMapRunsInput{ExecutionArn: aws.String(arn)})
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs.MapRuns {
		children, err := api.ListExecutions(t.Context(), &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn})
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range children.Executions {
			counted.Starts++
			add(child.ExecutionArn)
		}
	}
	return counted
}

// invoked returns the name of the function that a task invokes.
func invoked(t *testing.T, task *types.TaskScheduledEventDetails) string {
	t.Helper()
	var parameters struct{ FunctionName string }
	if err := json.Unmarshal([]byte(aws.ToString(task.Parameters)), &parameters); err != nil {
		t.Fatal(err)
	}
	// arn:aws:lambda:<region>:<account>:function:crossapply-<step>:<version>
	name := parameters.FunctionName[strings.LastIndex(parameters.FunctionName, "-")+1:]
	step, _, _ := strings.Cut(name, ":")
	return step
}
