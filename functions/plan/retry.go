package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
)

// retried returns the request that a retry stands for: that of the earlier
// execution, for the targets that did not succeed in it.
func (p Planner) retried(ctx context.Context, retry *request.Retry) (json.RawMessage, error) {
	prefix := runs.Prefix(retry.Name)
	found, err := p.store.Exists(ctx, prefix+runs.Plan)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuseRetry(retry, "it has no plan in the run bucket, so it started no target: its request was refused, or plan failed (start it anew); or it repeated another execution by its idempotencyKey (retry that one); or it is older than runDays of the configuration")
	}
	var earlier json.RawMessage
	if err := p.store.GetJSON(ctx, prefix+runs.Request, &earlier); err != nil {
		return nil, fmt.Errorf("the execution to retry: %w", err)
	}
	left, err := p.targetsLeft(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("the execution to retry: %w", err)
	}
	if len(left) == 0 {
		return nil, refuseRetry(retry, "all its targets succeeded: there is nothing to retry")
	}
	return retry.Request(earlier, left)
}

func refuseRetry(retry *request.Retry, why string) error {
	return request.Refusal(field.ErrorList{field.Invalid(field.NewPath("retry", "execution"), retry.Execution, why)})
}

// targetsLeft returns the targets of an earlier execution that did not succeed:
// all of them where it was stopped before it could report.
func (p Planner) targetsLeft(ctx context.Context, prefix string) ([]contract.Target, error) {
	var targets []contract.Target
	if err := p.store.GetJSON(ctx, prefix+runs.Targets, &targets); err != nil {
		return nil, err
	}
	var plan contract.PlanOutput
	if err := p.store.GetJSON(ctx, prefix+runs.Plan, &plan); err != nil {
		return nil, err
	}
	reported, err := p.store.Exists(ctx, plan.ReportKey)
	if err != nil || !reported {
		return targets, err
	}
	var results []contract.Result
	if err := p.store.GetJSON(ctx, plan.ReportKey, &results); err != nil {
		return nil, err
	}
	succeeded := make(map[contract.Target]bool, len(results))
	for _, result := range results {
		succeeded[result.Target] = result.Outcome.Succeeded()
	}
	return slices.DeleteFunc(targets, func(t contract.Target) bool { return succeeded[t] }), nil
}
