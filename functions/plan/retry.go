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
func (p Planner) retried(ctx context.Context, in contract.PlanInput, retry *request.Retry) (json.RawMessage, error) {
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
	switch running, err := p.running(ctx, retry.Execution); {
	case err != nil:
		return nil, err
	case running:
		return nil, refuseRetry(retry, notEnded)
	}
	var raw json.RawMessage
	if err := p.store.GetJSON(ctx, before.prefix+runs.Request, &raw); err != nil {
		return nil, fmt.Errorf("the execution to retry: %w", err)
	}
	left, err := p.targetsLeft(ctx, before)
	if err != nil {
		return nil, err
	}
	again, err := p.again(ctx, in, before, raw)
	if err != nil {
		return nil, fmt.Errorf("the execution to retry: %w", err)
	}
	if len(left)+len(again) == 0 {
		return nil, refuseRetry(retry, "all its targets succeeded: there is nothing to retry")
	}
	return retry.Request(raw, left, again)
}

func refuseRetry(retry *request.Retry, why string) error {
	return request.Refusal(field.ErrorList{field.Invalid(field.NewPath("retry", "execution"), retry.Execution, why)})
}

// again returns what selected clusters of an earlier execution in the accounts that could
// not be looked into.
func (p Planner) again(ctx context.Context, in contract.PlanInput, before *earlier, raw json.RawMessage) ([]contract.TargetSelector, error) {
	if len(before.layout.Accounts) == 0 {
		return nil, nil
	}
	g := given{refusal: request.Refusal}
	var problems field.ErrorList
	g.parsed, problems = request.Parse(raw, p.scope, nil)
	if err := g.refuse(problems); err != nil {
		return nil, err
	}
	if err := p.readInputs(ctx, &g); err != nil {
		return nil, err
	}
	c, err := p.newChoice(ctx, in.Configured, g)
	if err != nil {
		return nil, err
	}
	return c.narrowed(before.layout.Accounts), nil
}

// targetsLeft returns the targets of an earlier execution that did not succeed:
// all of them where it was stopped before it could report.
func (p Planner) targetsLeft(ctx context.Context, before *earlier) ([]contract.TargetSelector, error) {
	reported, err := p.store.Exists(ctx, before.plan.Run.ReportKey)
	if err != nil {
		return nil, fmt.Errorf("the report of the execution to retry: %w", err)
	}
	var results []struct { // as much of a [contract.Result] as matters: objects that get found are large
		contract.Target
		Outcome contract.Outcome `json:"outcome"`
	}
	if reported {
		if err := p.store.GetJSON(ctx, before.plan.Run.ReportKey, &results); err != nil {
			return nil, fmt.Errorf("the report of the execution to retry: %w", err)
		}
	}
	succeeded := make(map[contract.Target]bool, len(results))
	for _, result := range results {
		// One that was rolled back does not hold what was asked for.
		succeeded[result.Target] = result.Outcome.Succeeded() && result.Outcome != contract.OutcomeRolledBack
	}
	var left []contract.TargetSelector
	for _, target := range before.layout.Targets {
		if !succeeded[target.Target] {
			left = append(left, contract.TargetSelector{Account: target.Account, Region: target.Region, Cluster: target.Cluster})
		}
	}
	return left, nil
}
