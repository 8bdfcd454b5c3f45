// Command report is the workflow's last step: it gathers how every target ended
// into one answer, and writes the full report to the run bucket.
package main

import (
	"context"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where report reads the Map's results and writes the full report;
// [runs.Bucket] is one.
type Store interface {
	List(ctx context.Context, prefix string) ([]string, error)
	GetJSON(ctx context.Context, key string, value any) error
	PutJSON(ctx context.Context, key string, value any) error
	URI(key string) string
}

// Reporter reports on executions.
type Reporter struct {
	store func(bucket string) Store
	now   func() time.Time
}

// Handle gathers the results of all targets. An execution whose failures exceed
// its budget is not an error of report: the answer's status says so, and the
// definition fails with it.
func (r Reporter) Handle(ctx context.Context, in contract.ReportInput) (contract.Answer, error) {
	store := r.store(in.Plan.Run.Bucket)
	results, err := gather(ctx, store, in)
	if err != nil {
		return contract.Answer{}, err
	}
	key := in.Plan.Run.Prefix + runs.Report
	if err := store.PutJSON(ctx, key, results); err != nil {
		return contract.Answer{}, err
	}
	answer := summarize(in, results)
	answer.Report = store.URI(key)
	if !answer.DryRun {
		emit(ctx, r.now(), in.Plan.Run, results)
	}
	edge.Logger(ctx).Info("reported", "status", answer.Status, "counts", answer.Counts, "report", answer.Report)
	return answer, nil
}

// gather returns one result per target, in the order of the request.
func gather(ctx context.Context, store Store, in contract.ReportInput) ([]contract.Result, error) {
	var targets []contract.Target
	if err := store.GetJSON(ctx, in.Plan.TargetsKey, &targets); err != nil {
		return nil, err
	}
	ended, written, err := mapResults(ctx, store, in.Plan.ResultsPrefix)
	if err != nil {
		return nil, err
	}
	unmentioned := contract.Result{Outcome: contract.OutcomeNotStarted, Message: notStarted}
	if !written && !nothingStarted(in.RolloutError) {
		unmentioned = contract.Result{Outcome: contract.OutcomeStopped, Message: unknown}
	}
	results := make([]contract.Result, len(targets))
	for i, target := range targets {
		result, ok := ended[target]
		if !ok {
			result = unmentioned
			result.Target = target
		}
		results[i] = result
	}
	return results, nil
}

// nothingStarted says that the Map failed before it had any target to start.
// Any other failure may have left targets behind that were worked on, even where
// the Map could not write their results.
func nothingStarted(err *contract.StateError) bool {
	return err != nil && err.Error == "States.ItemReaderFailed"
}

const (
	notStarted = "the rollout ended before this target's turn"
	stopped    = "the rollout ended while this target was worked on; its state is unknown"
	unknown    = "the rollout's results could not be written; what became of this target is unknown"
)

// seconds returns the time between two moments, in seconds with milliseconds.
func seconds(from, to time.Time) float64 {
	if from.IsZero() || to.IsZero() {
		return 0
	}
	return float64(to.Sub(from).Milliseconds()) / 1000
}
