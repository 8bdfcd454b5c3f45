// Command report is the workflow's last step: it gathers how every target ended
// into one answer, and writes the full report to the run bucket. A person calls it
// for an execution that was stopped before it could report.
package main

import (
	"context"
	"iter"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/mapresults"
)

// Store is where report reads what an execution left, and writes the full report;
// [runs.Bucket] is one.
type Store interface {
	mapresults.Reader
	List(ctx context.Context, prefix string) ([]string, error)
	GetJSON(ctx context.Context, key string, value any) error
	PutJSONArray(ctx context.Context, key string, values iter.Seq[any]) error
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
	rollout, err := find(ctx, r.store, in, name, r.now())
	if err != nil {
		return contract.Answer{}, err
	}
	results := rollout.results(ctx)
	if err := r.store.PutJSONArray(ctx, rollout.plan.Run.ReportKey, rollout.withObjects(ctx, results, contract.MaxObjects)); err != nil {
		return contract.Answer{}, err
	}
	answer := rollout.answer(results)
	answer.Report = r.store.URI(rollout.plan.Run.ReportKey)
	if rollout.ended() && !rollout.plan.Preview {
		emit(ctx, r.now(), machine, results)
	}
	edge.Logger(ctx).Info("reported", "status", answer.Status, "counts", answer.Counts, "report", answer.Report, "notes", answer.Notes)
	return answer, nil
}
