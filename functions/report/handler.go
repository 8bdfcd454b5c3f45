// Command report is the workflow's last step: it gathers how every target ended
// into one answer, and writes the full report to the run bucket. A person calls it
// for an execution that was stopped before it could report.
package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where report reads what an execution left, and writes the full report;
// [runs.Bucket] is one.
type Store interface {
	List(ctx context.Context, prefix string) ([]string, error)
	Get(ctx context.Context, key string) ([]byte, error)
	GetJSON(ctx context.Context, key string, value any) error
	PutJSON(ctx context.Context, key string, value any) error
	URI(key string) string
}

// Reporter reports on executions.
type Reporter struct {
	store Store
	now   func() time.Time
}

// Handle gathers the results of all targets. An execution whose failures exceed
// its budget is not an error of report: the answer's status says so, and the
// definition fails with it. The same call again gives the same answer.
//
// Of an execution that still runs the answer says what is known so far, and its
// message that there may be more: report cannot tell such an execution from one
// that was stopped, and the execution's own report replaces this one.
func (r Reporter) Handle(ctx context.Context, in contract.ReportInput) (contract.Answer, error) {
	machine, name, err := contract.ParseExecution(in.Execution)
	if err != nil {
		return contract.Answer{}, err
	}
	found, err := find(ctx, r.store, in, name, r.now())
	if err != nil {
		return contract.Answer{}, err
	}
	results := found.results(ctx)
	if err := r.store.PutJSON(ctx, found.plan.ReportKey, results); err != nil {
		return contract.Answer{}, err
	}
	answer := found.answer(results)
	answer.Report = r.store.URI(found.plan.ReportKey)
	if found.ended() && !answer.DryRun {
		emit(ctx, r.now(), machine, results)
	}
	edge.Logger(ctx).Info("reported", "status", answer.Status, "counts", answer.Counts, "report", answer.Report, "notes", answer.Notes)
	return answer, nil
}

// rollout is an execution and what it left in the run bucket.
type rollout struct {
	store   Store
	plan    contract.PlanOutput
	targets []contract.Target
	// broke is the error that ended the Map, if any.
	broke *contract.StateError
	// keys are the keys of all objects below the execution's prefix.
	keys map[string]bool
	// children is how the targets' child executions ended.
	children children
}

// find reads what an execution left, but for what single targets left.
func find(ctx context.Context, store Store, in contract.ReportInput, name string, now time.Time) (rollout, error) {
	prefix := runs.Prefix(name)
	keys, err := store.List(ctx, prefix)
	if err != nil {
		return rollout{}, err
	}
	r := rollout{store: store, broke: in.RolloutError, keys: map[string]bool{}}
	for _, key := range keys {
		r.keys[key] = true
	}
	if !r.keys[prefix+runs.Plan] {
		return rollout{}, fault.New(fault.InvalidRequest,
			"there is no %s: the request was refused, or repeats that of another execution, or plan failed, or the bucket no longer keeps it", store.URI(prefix+runs.Plan))
	}
	if err := store.GetJSON(ctx, prefix+runs.Plan, &r.plan); err != nil {
		return rollout{}, err
	}
	if r.plan.Run.Execution != in.Execution {
		return rollout{}, fault.New(fault.InvalidRequest, "in this deployment the execution of that name is %s", r.plan.Run.Execution)
	}
	if err := store.GetJSON(ctx, r.plan.TargetsKey, &r.targets); err != nil {
		return rollout{}, err
	}
	r.children, err = readChildren(ctx, store, r.plan.ResultsPrefix+"/", r.keys, r.targets, now)
	if err != nil {
		return rollout{}, fmt.Errorf("read the Map's results: %w", err)
	}
	return r, nil
}

// ended says that the Map has ended. Where it has not, the execution was stopped
// meanwhile, or it still runs.
func (r rollout) ended() bool { return r.children.written || r.broke != nil }

// readsAtOnce bounds how many entries of the journal, each with a whole object in
// it, are read and held at once.
const readsAtOnce = 16

// results returns one result per target, in the order of the request.
func (r rollout) results(ctx context.Context) []contract.Result {
	results := make([]contract.Result, len(r.targets))
	var reads errgroup.Group
	reads.SetLimit(readsAtOnce)
	for i, target := range r.targets {
		reads.Go(func() error {
			results[i] = r.result(ctx, target)
			return nil
		})
	}
	_ = reads.Wait() // what cannot be read is in the results
	return results
}

// result returns how one target ended, and whether it was touched.
func (r rollout) result(ctx context.Context, target contract.Target) contract.Result {
	if result := r.children.ended[target]; result != nil {
		return r.touched(ctx, *result)
	}
	return r.touched(ctx, r.unmentioned(ctx, target))
}
