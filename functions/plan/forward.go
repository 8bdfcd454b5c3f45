package main

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
)

// planTargets plans the operation of a request on its targets.
func (p Planner) planTargets(ctx context.Context, in contract.PlanInput, g given) (plan, error) {
	if err := p.readInputs(ctx, &g); err != nil {
		return plan{}, err
	}
	c, err := p.newChoice(ctx, in.Configured, g)
	if err != nil {
		return plan{}, err
	}
	made := p.newPlan(in)
	fill(&made, g.parsed)
	if made.out.Discovery, c.found, err = p.discover(ctx, made.out.Run, c.Accounts()); err != nil || made.out.Discovery != nil {
		return made, err
	}
	if made.request, err = request.Pinned(g.raw, g.parsed); err != nil {
		return plan{}, err
	}
	return made, g.refuse(p.settle(&made, g.parsed, c))
}

// fill takes over what a request says, whichever targets it has.
func fill(made *plan, parsed request.Parsed) {
	run := &made.out.Run
	run.Operation, run.Resources = parsed.Operation, parsed.Refs()
	run.Apply, run.Get, run.Delete, run.Check, run.Ready = parsed.Apply, parsed.Get, parsed.Delete, parsed.Check, parsed.Ready
	run.Tolerate, run.OnFailure = parsed.Rollout.Tolerate, parsed.Rollout.OnFailure
	made.out.Labels, made.out.Preview = parsed.Labels, parsed.Preview
	made.bundle, made.exclusive = parsed.Bundle(), parsed.Rollout.Exclusive
}

// settle completes a plan with the targets that the request means, once it is known
// which clusters there are.
func (p Planner) settle(made *plan, parsed request.Parsed, c choice) field.ErrorList {
	targets, notes, problems := c.targets()
	if len(problems) > 0 {
		return problems
	}
	made.layout, problems = layOut(parsed, c, targets, made.out.Run.Prefix)
	if len(problems) == 0 {
		problems = checkOverrides(made.bundle, made.layout.Targets)
	}
	if len(problems) > 0 {
		return problems
	}
	made.layout.Accounts, made.layout.Rules, made.layout.Inputs = c.failures(), parsed.Rules(), parsed.Inputs()
	// An account that failed counts as a target that did.
	made.out.Run.MaxFailures = parsed.Rollout.MaxFailures.Of(len(targets) + len(made.layout.Accounts))
	made.out.Total = len(targets)
	made.out.Notes = slices.Concat(bound(&made.layout, p.maxConcurrency), c.notes(), notes)
	return nil
}
