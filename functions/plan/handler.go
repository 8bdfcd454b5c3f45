// Command plan is the workflow's first step: it checks the request before
// anything else is called, finds or takes the targets, lays them out in waves, and
// writes what the later steps need to the run bucket.
package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/phases"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where plan reads and writes; [runs.Bucket] is one.
type Store interface {
	Name() string
	Exists(ctx context.Context, key string) (bool, error)
	List(ctx context.Context, prefix string) ([]string, error)
	Open(ctx context.Context, key string) (io.ReadCloser, error)
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
	// organization is nil where the configuration does not allow to list it.
	organization Organization
	// scope is where the workflow can act.
	scope regions.Scope
	// allowed is what may be touched, and operations are those that may be done: all
	// where there is none.
	allowed    allowlist.List
	operations []contract.Operation
	// maxConcurrency is how many targets the functions can work on at once; 0 where
	// nothing is known to bound them.
	maxConcurrency int
	now            func() time.Time
}

// plan is what an execution is to do. Where clusters have to be looked for first, it is
// [contract.PlanOutput.Discovery] alone.
type plan struct {
	out    contract.PlanOutput
	layout contract.Layout
	bundle manifest.Bundle
	// request is the request with what it was merged of.
	request json.RawMessage
	// exclusive says that no other execution may work on the resources.
	exclusive bool
}

// Handle checks a request and plans the execution. An invalid request fails with
// [fault.InvalidRequest], naming the paths of what is wrong, before anything was
// written; only what the targets show comes after the idempotency key was claimed.
// The execution claims its key first, and the resources last: a repeat is told of the
// execution that it repeats, rather than that a resource is busy. Every write may be
// made again: a call whose answer was lost is repeated, and so is one that said where
// clusters have to be looked for.
func (p Planner) Handle(ctx context.Context, in contract.PlanInput) (contract.PlanOutput, error) {
	g, err := p.read(ctx, in)
	if err != nil {
		return contract.PlanOutput{}, err
	}
	if !g.parsed.Preview { // which leaves the key to the request that it is a preview of
		if first, err := p.repeats(ctx, in, g.parsed.IdempotencyKey); err != nil || first != nil {
			return contract.PlanOutput{First: first}, err
		}
	}
	plan, err := p.plan(ctx, in, g)
	if err != nil || plan.out.Discovery != nil {
		return plan.out, err
	}
	if err := p.lockResources(ctx, plan); err != nil {
		return contract.PlanOutput{}, err
	}
	if err := p.write(ctx, plan); err != nil {
		return contract.PlanOutput{}, err
	}
	next := phases.Decide(phases.State{Plan: plan.out, Layout: plan.layout, Now: p.now()})
	plan.out.Next = &next
	edge.Logger(ctx).Info("planned", "targets", plan.out.Total, "waves", len(plan.layout.Waves), "operation", plan.out.Run.Operation,
		"resources", plan.out.Run.Resources, "readyIsJudgedBy", plan.layout.Rules, "maxFailures", plan.out.Run.MaxFailures, "next", next.Action)
	return plan.out, nil
}

// plan plans the execution of a request.
func (p Planner) plan(ctx context.Context, in contract.PlanInput, g given) (plan, error) {
	if g.rollback != nil {
		return p.planRollback(ctx, in, g)
	}
	return p.planTargets(ctx, in, g)
}

// newPlan returns the plan of an execution that is not laid out yet.
func (p Planner) newPlan(in contract.PlanInput) plan {
	prefix := runs.Prefix(in.Name)
	return plan{out: contract.PlanOutput{
		Run: contract.Run{Execution: in.Execution, Name: in.Name, Bucket: p.store.Name(), Prefix: prefix, Journal: prefix,
			ReportKey: runs.ReportKey(in.Name, in.Started), Resources: []contract.ResourceRef{}, Tolerate: []string{}},
		Labels: map[string]string{},
	}}
}

// lockResources locks the resources, unless nothing will be changed.
func (p Planner) lockResources(ctx context.Context, plan plan) error {
	run := plan.out.Run
	op, err := operation.Of(run.Operation)
	if err != nil {
		return err
	}
	if op.Reads || run.Apply.DryRun || plan.out.Preview {
		return nil
	}
	return p.lock(ctx, run.Execution, run.Resources, plan.exclusive)
}

// write writes what later steps, and a retry, need. The plan comes last: where it
// is, the rest is too.
func (p Planner) write(ctx context.Context, plan plan) error {
	type object struct {
		name  string
		value any
	}
	objects := []object{{runs.Request, plan.request}, {runs.Resources, plan.bundle}, {runs.Layout, plan.layout}}
	for w, items := range itemsOf(plan.layout) {
		if len(items) > 0 {
			objects = append(objects, object{runs.WaveItems(w + 1), items})
		}
	}
	// An account that failed counts as a target of no phase that did.
	for _, account := range plan.layout.Accounts {
		if account.Outcome.Failed() {
			objects = append(objects, object{runs.PhaseFailed(0) + account.Account, map[string]string{"error": account.Error}})
		}
	}
	for _, o := range append(objects, object{runs.Plan, plan.out}) {
		if err := p.store.PutJSON(ctx, plan.out.Run.Prefix+o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}
