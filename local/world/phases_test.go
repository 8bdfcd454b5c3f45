package world_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
)

// phased is a rollout over the clusters that a selector finds, payments and paymentsUS,
// in two waves: a canary that bakes, and the rest.
func phased(name string) topic {
	return topic{
		name: name, annotations: immediately(),
		selectors: []contract.TargetSelector{{Match: contract.Match{
			Accounts: []string{payments.Account}, Regions: []string{payments.Region, paymentsUS.Region}, Clusters: []string{payments.Cluster}}}},
		waves: []contract.Wave{{Name: "canary", Count: aws.Int(1), BakeSeconds: aws.Int(1)}, {Name: "rest"}},
	}
}

// approval is what an event says that asks for an approval.
type approval struct{ Execution, TaskToken string }

// askedBy reads an event that asks for an approval.
func askedBy(t *testing.T, event events.Event) approval {
	t.Helper()
	var asked approval
	if err := json.Unmarshal(event.Detail, &asked); err != nil {
		t.Error(err)
	}
	return asked
}

// approvalOf waits until an execution asks for an approval.
func approvalOf(t *testing.T, w *world.World, arn string) approval {
	t.Helper()
	event, err := w.AWS.Events.Await(t.Context(), func(event events.Event) bool {
		return event.DetailType == deployment.EventApprovalRequested && askedBy(t, event).Execution == arn
	})
	if err != nil {
		t.Fatal(err)
	}
	return askedBy(t, event)
}

// approve says yes.
func approve(t *testing.T, w *world.World, asked approval) {
	t.Helper()
	_, err := sfn.NewFromConfig(w.Person("approver")).SendTaskSuccess(t.Context(), &sfn.SendTaskSuccessInput{
		TaskToken: aws.String(asked.TaskToken), Output: aws.String(`{"message": "looks good"}`)})
	if err != nil {
		t.Error(err)
	}
}
