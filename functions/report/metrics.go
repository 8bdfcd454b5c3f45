package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/metrics"
)

// maxValues is how many values of one metric a log line may carry.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
const maxValues = 100

// emit logs how many targets ended in each outcome and how long they took, in
// CloudWatch's embedded metric format: the log line is the metric, and no call
// is made for it. Targets that were never started took no time. A report that is
// repeated, because its answer was lost or a person asks for it, counts its targets
// again.
func emit(ctx context.Context, now time.Time, machine string, results []contract.Result) {
	byOutcome := map[contract.Outcome][]float64{}
	for _, result := range results {
		byOutcome[result.Outcome] = append(byOutcome[result.Outcome], result.Seconds)
	}
	for _, outcome := range contract.Outcomes() {
		for seconds := range slices.Chunk(byOutcome[outcome], maxValues) {
			edge.Logger(ctx).LogAttrs(ctx, slog.LevelInfo, "targets ended", line(now, machine, outcome, seconds)...)
		}
	}
}

func line(now time.Time, machine string, outcome contract.Outcome, seconds []float64) []slog.Attr {
	names := []map[string]string{{"Name": metrics.Targets, "Unit": "Count"}}
	values := []slog.Attr{
		slog.String(metrics.StateMachine, machine),
		slog.String(metrics.Outcome, string(outcome)),
		slog.Int(metrics.Targets, len(seconds)),
	}
	// A metric that the directive names must be there.
	if outcome != contract.OutcomeNotStarted {
		names = append(names, map[string]string{"Name": metrics.TargetSeconds, "Unit": "Seconds"})
		values = append(values, slog.Any(metrics.TargetSeconds, seconds))
	}
	directive := map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  metrics.Namespace,
			"Dimensions": [][]string{{metrics.StateMachine, metrics.Outcome}},
			"Metrics":    names,
		}},
	}
	return append(values, slog.Any("_aws", directive))
}
