package main

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
)

// planRollback plans to bring back what an earlier execution changed, on all targets
// that it touched, its last wave first. That execution can be a rollback itself: it
// has a journal as any other.
func (p Planner) planRollback(ctx context.Context, in contract.PlanInput, g given) (plan, error) {
	rollback, rollout := g.rollback, g.parsed.Rollout
	refuse := func(why string) (plan, error) {
		return plan{}, g.refuse(field.ErrorList{field.Invalid(field.NewPath("rollback", "execution"), rollback.Execution, why)})
	}
	before, err := p.earlier(ctx, rollback.Name)
	switch {
	case err != nil:
		return plan{}, err
	case before == nil:
		return refuse(unplanned)
	}
	switch running, err := p.running(ctx, rollback.Execution); {
	case err != nil:
		return plan{}, err
	case running:
		return refuse(notEnded)
	}
	for _, resource := range before.plan.Run.Resources {
		if why := p.allowed.Refuse(resource); why != "" {
			return refuse(fmt.Sprintf("%s: %s", resource, why))
		}
	}
	touched, err := journal.Touched(ctx, p.store, before.prefix)
	if err != nil {
		return plan{}, err
	}
	if len(touched) == 0 {
		return refuse("it touched no target: there is nothing to roll back")
	}
	made := p.newPlan(in)
	made.request, made.exclusive = g.raw, rollout.Exclusive
	made.layout = reversed(before.layout, touched, rollout, made.out.Run.Prefix)
	made.out.Run = rollbackRun(made.out.Run, before, rollout, len(made.layout.Targets))
	made.out.Total, made.out.Preview, made.out.Labels = len(made.layout.Targets), g.parsed.Preview, g.parsed.Labels
	made.out.Notes = bound(&made.layout, p.maxConcurrency)
	if err := p.store.GetJSON(ctx, before.prefix+runs.Resources, &made.bundle); err != nil {
		return plan{}, fmt.Errorf("the resources of the earlier execution: %w", err)
	}
	return made, nil
}

// reversed lays the targets of an earlier layout out that were touched, the last wave
// first.
func reversed(before contract.Layout, touched map[string]bool, rollout request.Rollout, prefix string) contract.Layout {
	layout := contract.Layout{ApprovalTimeoutSeconds: rollout.ApprovalTimeoutSeconds, Strict: rollout.Strict, Rules: []string{}}
	for w := len(before.Waves); w > 0; w-- {
		number, total := len(layout.Waves)+1, 0
		for _, target := range before.Targets {
			if target.Wave == w && touched[target.String()] {
				layout.Targets = append(layout.Targets, contract.PlannedTarget{Target: target.Target, Wave: number})
				total++
			}
		}
		if total == 0 {
			continue
		}
		wave := rollout.Waves[0] // what is said of all
		wave.Name, wave.MaxFailures = before.Waves[w-1].Name, nil
		layout.Waves = append(layout.Waves, plannedWave(wave, prefix+runs.WaveItems(number), total))
	}
	return layout
}

// rollbackRun returns the run that rolls an earlier one back: with its resources and
// its field manager.
func rollbackRun(run contract.Run, before *earlier, rollout request.Rollout, total int) contract.Run {
	back := before.plan.Run
	back.Execution, back.Name, back.Bucket, back.Prefix, back.ReportKey = run.Execution, run.Name, run.Bucket, run.Prefix, run.ReportKey
	back.Journal, back.Operation = before.prefix, operation.Rollback
	back.MaxFailures, back.Tolerate, back.OnFailure = rollout.MaxFailures.Of(total), rollout.Tolerate, rollout.OnFailure
	return back
}
