package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
)

// metricsNamespace is where CloudWatch files the workflow's own metrics.
const metricsNamespace = "CrossApply"

// maxValues is how many values of one metric a log line may carry.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
const maxValues = 100

// emit logs how many targets ended in each outcome and how long they took, in
// CloudWatch's embedded metric format: the log line is the metric, and no call
// is made for it. Targets that were never started took no time. A report that is
// repeated because its answer was lost counts its targets again.
func emit(ctx context.Context, now time.Time, results []contract.Result) {
	byOutcome := map[contract.Outcome][]float64{}
	for _, result := range results {
		byOutcome[result.Outcome] = append(byOutcome[result.Outcome], result.Seconds)
	}
	for _, outcome := range order {
		for seconds := range slices.Chunk(byOutcome[outcome], maxValues) {
			edge.Logger(ctx).LogAttrs(ctx, slog.LevelInfo, "targets ended", line(now, outcome, seconds)...)
		}
	}
}

func line(now time.Time, outcome contract.Outcome, seconds []float64) []slog.Attr {
	directive := map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  metricsNamespace,
			"Dimensions": [][]string{{"Outcome"}},
			"Metrics": []map[string]string{
				{"Name": "Targets", "Unit": "Count"},
				{"Name": "TargetSeconds", "Unit": "Seconds"},
			},
		}},
	}
	attrs := []slog.Attr{slog.Any("_aws", directive), slog.String("Outcome", string(outcome)), slog.Int("Targets", len(seconds))}
	if outcome != contract.OutcomeNotStarted {
		attrs = append(attrs, slog.Any("TargetSeconds", seconds))
	}
	return attrs
}
