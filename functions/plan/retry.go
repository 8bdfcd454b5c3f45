package main

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
)

// retried returns the request that a retry stands for: that of the earlier
// execution, for the targets that did not succeed in it.
func (p Planner) retried(ctx context.Context, retry *request.Retry) (json.RawMessage, error) {
	before, err := p.earlier(ctx, retry.Name)
	switch {
	case err != nil:
		return nil, err
	case before == nil:
		return nil, refuseRetry(retry, unplanned)
	case before.plan.Preview:
		return nil, refuseRetry(retry, "it was for the plan alone: start it anew, without plan")
	case before.plan.Run.Operation == operation.Rollback:
		return nil, refuseRetry(retry, "it was a rollback: start that again, which leaves alone what was brought back already")
	}
	var request json.RawMessage
	if err := p.store.GetJSON(ctx, before.prefix+runs.Request, &request); err != nil {
		return nil, fmt.Errorf("the execution to retry: %w", err)
	}
	left, err := p.targetsLeft(ctx, before)
	if err != nil {
		return nil, fmt.Errorf("the execution to retry: %w", err)
	}
	if len(left) == 0 {
		return nil, refuseRetry(retry, "all its targets succeeded: there is nothing to retry")
	}
	return retry.Request(request, left)
}

func refuseRetry(retry *request.Retry, why string) error {
	return request.Refusal(field.ErrorList{field.Invalid(field.NewPath("retry", "execution"), retry.Execution, why)})
}

// targetsLeft returns the targets of an earlier execution that did not succeed:
// all of them where it was stopped before it could report.
func (p Planner) targetsLeft(ctx context.Context, before *earlier) ([]contract.Target, error) {
	reported, err := p.store.Exists(ctx, before.plan.ReportKey)
	if err != nil {
		return nil, err
	}
	var results []contract.Result
	if reported {
		if err := p.store.GetJSON(ctx, before.plan.ReportKey, &results); err != nil {
			return nil, err
		}
	}
	succeeded := make(map[contract.Target]bool, len(results))
	for _, result := range results {
		// One that was rolled back does not hold what was asked for.
		succeeded[result.Target] = result.Outcome.Succeeded() && result.Outcome != contract.OutcomeRolledBack
	}
	var left []contract.Target
	for _, target := range before.layout.Targets {
		if !succeeded[target.Target] {
			left = append(left, target.Target)
		}
	}
	return left, nil
}
