package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// Executions tells how executions are doing; *sfn.Client is one.
type Executions interface {
	DescribeExecution(context.Context, *sfn.DescribeExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeExecutionOutput, error)
}

// workers says which executions work on a resource. It is never released: the end of
// an execution is the release, so that one which is stopped, or dies, leaves
// nothing to clear up.
type workers struct {
	// Executions are the ARNs of those that had not ended when the last of them
	// came. There is more than one only where rollout.exclusive is false.
	Executions []string `json:"executions"`
}

// lockAttempts is how often a lock that others write at the same time is tried
// before the call is left to be repeated.
const lockAttempts = 5

// lock enters an execution into the locks of resources, in an order that is the same
// for all executions: of two that want some of the same, one comes first.
func (p Planner) lock(ctx context.Context, execution string, resources []contract.ResourceRef, exclusive bool) error {
	resources = slices.Clone(resources)
	slices.SortFunc(resources, func(a, b contract.ResourceRef) int { return cmp.Compare(lockKey(a), lockKey(b)) })
	for _, resource := range resources {
		if err := p.lockResource(ctx, execution, resource, exclusive); err != nil {
			return err
		}
	}
	return nil
}

// lockKey returns the key of a resource's lock: one for its kind and for the kind's
// plural. A cluster's own plural is not known here, so it is made as Kubernetes' code
// generators make it.
func lockKey(resource contract.ResourceRef) string {
	kind := schema.FromAPIVersionAndKind(resource.APIVersion, resource.Kind)
	plural := resource.Plural
	if plural == "" {
		guess, _ := meta.UnsafeGuessKindToResource(kind)
		plural = guess.Resource
	}
	return runs.LockKey(kind.Group, plural, resource.Namespace, resource.Name)
}

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
	key := lockKey(resource)
	if done, err = p.store.PutJSONOnce(ctx, key, workers{Executions: []string{execution}}); err != nil || done {
		return done, err
	}
	var found workers
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
	return p.store.PutJSONOver(ctx, key, tag, workers{Executions: append(others, execution)})
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
