package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// Executions tells how executions are doing; *sfn.Client is one.
type Executions interface {
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
}

// lock says which executions work on a resource. It is never released: the end of
// an execution is the release, so that one which is stopped, or dies, leaves
// nothing to clear up.
type lock struct {
	// Executions are the ARNs of those that had not ended when the last of them
	// came. There is more than one only where rollout.exclusive is false.
	Executions []string `json:"executions"`
}

// lockAttempts is how often a lock that others write at the same time is tried
// before the call is left to be repeated.
const lockAttempts = 5

// lockResource enters an execution into the lock of a resource. An exclusive one
// fails with [fault.ResourceBusy] while any other has not ended; one that is not
// is entered beside the others, so that an exclusive one finds it. All writes are
// conditional, so of executions at the same time one comes first; and one that is
// called again, after its answer was lost, finds its own entry.
func (p Planner) lockResource(ctx context.Context, execution string, resource contract.ResourceRef, exclusive bool) error {
	for range lockAttempts {
		if done, err := p.tryLock(ctx, execution, resource, exclusive); err != nil || done {
			return err
		}
	}
	return fault.New(fault.AWSUnavailable, "lock %s: other executions start at the same moment", resource)
}

func (p Planner) tryLock(ctx context.Context, execution string, resource contract.ResourceRef, exclusive bool) (done bool, err error) {
	group := schema.FromAPIVersionAndKind(resource.APIVersion, resource.Kind).Group
	key := runs.LockKey(group, resource.Kind, resource.Namespace, resource.Name)
	if done, err = p.store.PutJSONOnce(ctx, key, lock{Executions: []string{execution}}); err != nil || done {
		return done, err
	}
	var found lock
	tag, err := p.store.GetJSONTagged(ctx, key, &found)
	if err != nil {
		return false, fmt.Errorf("find out who works on %s: %w", resource, err)
	}
	if slices.Contains(found.Executions, execution) {
		return true, nil
	}
	var others []string
	for _, other := range found.Executions {
		running, err := p.running(ctx, other)
		switch {
		case err != nil:
			return false, err
		case running && exclusive:
			return false, fault.New(fault.ResourceBusy, "%s is worked on by %s", resource, other)
		case running:
			others = append(others, other)
		}
	}
	return p.store.PutJSONOver(ctx, key, tag, lock{Executions: append(others, execution)})
}

// running says whether an execution has not ended yet.
func (p Planner) running(ctx context.Context, execution string) (bool, error) {
	// Its input may be large, and encrypted.
	out, err := p.executions.DescribeExecution(ctx, &sfn.DescribeExecutionInput{
		ExecutionArn: aws.String(execution), IncludedData: types.IncludedDataMetadataOnly})
	var gone *types.ExecutionDoesNotExist
	if errors.As(err, &gone) {
		return false, nil
	}
	if err != nil {
		return false, fault.FromAWS(err, nil, "describe "+execution)
	}
	return out.Status == types.ExecutionStatusRunning || out.Status == types.ExecutionStatusPendingRedrive, nil
}
