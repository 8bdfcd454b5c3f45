package main

import (
	"context"
	"fmt"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/runs"
)

// earlier is an execution that was planned, which another one goes back to.
type earlier struct {
	prefix string
	plan   contract.PlanOutput
	layout contract.Layout
}

// unplanned is why an execution has no plan.
const unplanned = "it has no plan in the run bucket, so it started no target: there is no execution of that name; or its request was refused, or plan failed (start it anew); " +
	"or it repeated another execution by its idempotencyKey (name that one); or it is older than runDays of the configuration"

// notEnded is why an execution that runs can be neither retried nor rolled back.
const notEnded = "it has not ended: stop it, or wait for its end"

// earlier reads what was planned for an execution, by its name; nil where nothing was.
func (p Planner) earlier(ctx context.Context, name string) (*earlier, error) {
	e := earlier{prefix: runs.Prefix(name)}
	planned, err := p.store.Exists(ctx, e.prefix+runs.Plan)
	if err != nil || !planned {
		return nil, err
	}
	if err := p.store.GetJSON(ctx, e.prefix+runs.Plan, &e.plan); err != nil {
		return nil, fmt.Errorf("the plan of the earlier execution: %w", err)
	}
	if err := p.store.GetJSON(ctx, e.prefix+runs.Layout, &e.layout); err != nil {
		return nil, fmt.Errorf("the plan of the earlier execution: %w", err)
	}
	return &e, nil
}
