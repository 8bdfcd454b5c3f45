package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
)

// claim says which execution has an idempotency key, and for what.
type claim struct {
	// Execution is the ARN of the execution that came first.
	Execution string `json:"execution"`
	// Request is the hash of its request.
	Request string `json:"request"`
}

// repeats returns the execution that this one repeats: the one that had the request's
// idempotency key before it. Nil where there is none.
func (p Planner) repeats(ctx context.Context, in contract.PlanInput, key string) (*contract.FirstExecution, error) {
	if key == "" {
		return nil, nil
	}
	owner, err := p.claimKey(ctx, key, in)
	if err != nil || owner == in.Execution {
		return nil, err
	}
	first, err := p.describe(ctx, owner)
	if err != nil {
		return nil, err
	}
	edge.Logger(ctx).Info("duplicate", "of", owner, "status", first.Status)
	return &first, nil
}

// claimKey returns the execution that has the key: this one where none had it
// before. It is a conditional write, so of executions at the same time one wins;
// and one that is called again, after its answer was lost, finds its own claim. A
// key that stands for another request is refused with [fault.InvalidRequest]: a
// success would hide that nothing was done.
func (p Planner) claimKey(ctx context.Context, key string, in contract.PlanInput) (owner string, err error) {
	hash, err := request.Hash(in.Request)
	if err != nil {
		return "", err
	}
	at := runs.ClaimKey(key)
	written, err := p.store.PutJSONOnce(ctx, at, claim{Execution: in.Execution, Request: hash})
	if err != nil {
		return "", fmt.Errorf("claim the idempotency key: %w", err)
	}
	if written {
		return in.Execution, nil
	}
	var first claim
	if err := p.store.GetJSON(ctx, at, &first); err != nil {
		return "", fmt.Errorf("find out who has the idempotency key: %w", err)
	}
	if first.Request != hash {
		return "", request.Refusal(field.ErrorList{field.Invalid(field.NewPath("idempotencyKey"), field.OmitValueType{},
			"stands for another request already, that of "+first.Execution)})
	}
	return first.Execution, nil
}

// describe says how the execution that came first is doing. This function does so,
// and not the definition, because the answer repeats that execution's input, which
// with it may be more than a state can hold.
func (p Planner) describe(ctx context.Context, execution string) (contract.FirstExecution, error) {
	out, err := p.executions.DescribeExecution(ctx, &sfn.DescribeExecutionInput{ExecutionArn: aws.String(execution)})
	if err != nil {
		return contract.FirstExecution{}, fault.FromAWS(err, nil, "describe "+execution+", which has the idempotencyKey")
	}
	first := contract.FirstExecution{Execution: execution, Status: string(out.Status), Output: aws.ToString(out.Output)}
	if out.Status == types.ExecutionStatusFailed {
		first.Error = cmp.Or(aws.ToString(out.Error), string(fault.Internal))
		first.Cause = cmp.Or(aws.ToString(out.Cause), execution+" failed without a cause")
	}
	return first, nil
}
