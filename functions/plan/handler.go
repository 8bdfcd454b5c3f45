// Command plan is the workflow's first step: it checks the request before
// anything else is called, and writes what the later steps need to the run
// bucket.
package main

import (
	"context"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where plan writes to; [runs.Bucket] is one.
type Store interface {
	Name() string
	GetJSON(ctx context.Context, key string, value any) error
	PutJSON(ctx context.Context, key string, value any) error
	PutJSONOnce(ctx context.Context, key string, value any) (written bool, err error)
}

// Planner plans executions.
type Planner struct {
	store Store
	// partition is the AWS partition of the workflow, such as "aws".
	partition string
}

// Handle checks a request and plans the execution. An invalid request fails with
// [fault.InvalidRequest], naming the paths of what is wrong, before anything was
// written or called. An idempotency key that stands for another request fails so
// too, once the run's own objects are written.
func (p Planner) Handle(ctx context.Context, in contract.PlanInput) (contract.PlanOutput, error) {
	parsed, problems := request.Parse(in.Request, p.partition, nil)
	if len(problems) > 0 {
		return contract.PlanOutput{}, request.Refusal(problems)
	}
	prefix := runs.Prefix(in.Name)
	run := contract.Run{
		Execution: in.Execution,
		Name:      in.Name,
		Bucket:    p.store.Name(),
		Prefix:    prefix,
		Operation: parsed.Operation,
		Resource:  parsed.ResourceRef,
		Apply:     parsed.Apply,
		Ready:     parsed.Ready,
	}
	if err := p.store.PutJSON(ctx, prefix+runs.Resource, parsed.Resource); err != nil {
		return contract.PlanOutput{}, err
	}
	if err := p.store.PutJSON(ctx, prefix+runs.Targets, parsed.Targets); err != nil {
		return contract.PlanOutput{}, err
	}
	if parsed.IdempotencyKey != "" {
		// Last, so that a claim stands only for an execution that can go on.
		owner, err := p.claimKey(ctx, parsed.IdempotencyKey, in)
		if err != nil {
			return contract.PlanOutput{}, err
		}
		if owner != in.Execution {
			edge.Logger(ctx).Info("duplicate", "of", owner)
			return contract.PlanOutput{Run: run, Answer: duplicate(run, owner)}, nil
		}
	}
	edge.Logger(ctx).Info("planned", "targets", len(parsed.Targets), "resource", run.Resource.String(),
		"maxConcurrency", parsed.Rollout.MaxConcurrency, "maxFailures", parsed.Rollout.MaxFailures)
	return contract.PlanOutput{
		Run:            run,
		TargetsKey:     prefix + runs.Targets,
		ResultsPrefix:  prefix + runs.Results,
		Total:          len(parsed.Targets),
		MaxConcurrency: parsed.Rollout.MaxConcurrency,
		MaxFailures:    parsed.Rollout.MaxFailures,
	}, nil
}
