// Command plan is the workflow's first step: it checks the request before
// anything else is called, and writes what the later steps need to the run
// bucket.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where plan reads and writes; [runs.Bucket] is one.
type Store interface {
	Name() string
	Exists(ctx context.Context, key string) (bool, error)
	GetJSON(ctx context.Context, key string, value any) error
	GetJSONTagged(ctx context.Context, key string, value any) (tag string, err error)
	PutJSON(ctx context.Context, key string, value any) error
	PutJSONOnce(ctx context.Context, key string, value any) (done bool, err error)
	PutJSONOver(ctx context.Context, key, tag string, value any) (done bool, err error)
}

// Planner plans executions.
type Planner struct {
	store      Store
	executions Executions
	// scope is where the workflow can act.
	scope regions.Scope
	// allowed is what may be touched.
	allowed allowlist.List
	// maxConcurrency is how many targets the functions can work on at once; 0 where
	// nothing is known to bound them.
	maxConcurrency int
}

// Handle checks a request and plans the execution. An invalid request fails with
// [fault.InvalidRequest], naming the paths of what is wrong, before anything was
// written. The execution then claims its idempotency key, and after that the
// resource: a repeat is told of the execution that it repeats, rather than that
// the resource is busy. Every write may be made again: a call whose answer was
// lost is repeated.
func (p Planner) Handle(ctx context.Context, in contract.PlanInput) (contract.PlanOutput, error) {
	raw, parsed, err := p.read(ctx, in)
	if err != nil {
		return contract.PlanOutput{}, err
	}
	if parsed.IdempotencyKey != "" {
		owner, err := p.claimKey(ctx, parsed.IdempotencyKey, in)
		if err != nil {
			return contract.PlanOutput{}, err
		}
		if owner != in.Execution {
			first, err := p.describe(ctx, owner)
			if err != nil {
				return contract.PlanOutput{}, err
			}
			edge.Logger(ctx).Info("duplicate", "of", owner, "status", first.Status)
			return contract.PlanOutput{First: &first}, nil
		}
	}
	if !parsed.Apply.DryRun {
		if err := p.lockResource(ctx, in.Execution, parsed.ResourceRef, parsed.Rollout.Exclusive); err != nil {
			return contract.PlanOutput{}, err
		}
	}
	out := p.plan(in, parsed)
	if err := p.write(ctx, raw, parsed, out); err != nil {
		return contract.PlanOutput{}, err
	}
	edge.Logger(ctx).Info("planned", "targets", out.Total, "resource", out.Run.Resource.String(),
		"maxConcurrency", out.MaxConcurrency, "maxFailures", out.Run.MaxFailures, "readyIsJudgedBy", parsed.Rule.String())
	return out, nil
}

// read returns the request that the execution is to run: its input, or what that
// stands for.
func (p Planner) read(ctx context.Context, in contract.PlanInput) (json.RawMessage, request.Parsed, error) {
	raw, refusal := in.Request, request.Refusal
	retry, problems := request.RetryOf(raw, in.Execution)
	if len(problems) > 0 {
		return nil, request.Parsed{}, request.Refusal(problems)
	}
	if retry != nil {
		var err error
		if raw, err = p.retried(ctx, retry); err != nil {
			return nil, request.Parsed{}, err
		}
		refusal = retry.Refusal
	}
	parsed, problems := request.Parse(raw, p.scope, nil)
	if len(problems) > 0 {
		return nil, request.Parsed{}, refusal(problems)
	}
	if why := p.allowed.Refuse(parsed.ResourceRef); why != "" {
		return nil, request.Parsed{}, refusal(field.ErrorList{field.Forbidden(field.NewPath("resource"), why)})
	}
	return raw, parsed, nil
}

func (p Planner) plan(in contract.PlanInput, parsed request.Parsed) contract.PlanOutput {
	prefix := runs.Prefix(in.Name)
	out := contract.PlanOutput{
		Run: contract.Run{
			Execution:   in.Execution,
			Name:        in.Name,
			Bucket:      p.store.Name(),
			Prefix:      prefix,
			Operation:   parsed.Operation,
			Resource:    parsed.ResourceRef,
			Apply:       parsed.Apply,
			Ready:       parsed.Ready,
			MaxFailures: parsed.Rollout.MaxFailures,
		},
		TargetsKey:     prefix + runs.Targets,
		ResultsPrefix:  prefix + runs.Results,
		ReportKey:      runs.ReportKey(in.Name, in.Started),
		Total:          len(parsed.Targets),
		MaxConcurrency: parsed.Rollout.MaxConcurrency,
	}
	if most := p.maxConcurrency; most > 0 && most < out.MaxConcurrency {
		if most < out.Total {
			out.Notes = append(out.Notes, fmt.Sprintf("At most %d targets are worked on at once, not %d: the configuration reserves no more concurrency for the functions.",
				most, out.MaxConcurrency))
		}
		out.MaxConcurrency = most
	}
	return out
}

// write writes what later steps, and a retry, need. The plan comes last: where it
// is, the rest is too.
func (p Planner) write(ctx context.Context, raw json.RawMessage, parsed request.Parsed, out contract.PlanOutput) error {
	for _, object := range []struct {
		name  string
		value any
	}{
		{runs.Request, raw},
		{runs.Resource, parsed.Resource},
		{runs.Targets, parsed.Targets},
		{runs.Plan, out},
	} {
		if err := p.store.PutJSON(ctx, out.Run.Prefix+object.name, object.value); err != nil {
			return err
		}
	}
	return nil
}
