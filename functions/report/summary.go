package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/metrics"
)

// Bounds that keep the answer within a few KiB: it crosses states, and a Fail
// state's cause may hold 32,768 characters.
const (
	maxFailed  = 20
	maxSlowest = 5
	maxMessage = 400
)

// exceeded is the error of a Map whose failures exceed its budget.
const exceeded = "States.ExceedToleratedFailureThreshold"

// summarize makes the answer from every target's result.
func summarize(in contract.ReportInput, results []contract.Result) contract.Answer {
	run := in.Plan.Run
	answer := contract.Answer{
		Execution: run.Execution,
		Operation: run.Operation,
		Resource:  run.Resource,
		DryRun:    run.Apply.DryRun,
		Status:    contract.StatusSucceeded,
		Total:     len(results),
		Counts:    map[contract.Outcome]int{},
		Failed:    []contract.Result{},
		Slowest:   []contract.Result{},
	}
	if in.RolloutError != nil {
		answer.RolloutError = &contract.StateError{Error: in.RolloutError.Error, Cause: fault.Shorten(in.RolloutError.Cause, maxMessage)}
	}
	var well, badly []contract.Result
	for _, result := range results {
		answer.Counts[result.Outcome]++
		if result.Outcome.Well() {
			well = append(well, result)
		} else {
			badly = append(badly, result)
		}
	}
	if in.RolloutError != nil || len(badly) > in.Plan.MaxFailures {
		answer.Status = contract.StatusFailed
	}
	answer.Message = sentence(in, answer.Counts, len(well), len(results))
	answer.Failed, answer.FailedOmitted = worst(badly)
	answer.Slowest = slowest(well)
	return answer
}

// worst returns the first of the targets that did not end well, those with an
// error of their own first: they are the reason for the others.
func worst(badly []contract.Result) (shown []contract.Result, omitted int) {
	slices.SortStableFunc(badly, func(a, b contract.Result) int { return cmp.Compare(severity(a), severity(b)) })
	shown = []contract.Result{}
	for _, result := range badly[:min(len(badly), maxFailed)] {
		result.Message = fault.Shorten(result.Message, maxMessage)
		shown = append(shown, result)
	}
	return shown, len(badly) - len(shown)
}

func severity(result contract.Result) int {
	switch result.Outcome {
	case contract.OutcomeStopped:
		return 1
	case contract.OutcomeNotStarted:
		return 2
	}
	return 0
}

// slowest returns the targets that took longest, without the words.
func slowest(well []contract.Result) []contract.Result {
	slices.SortStableFunc(well, func(a, b contract.Result) int { return cmp.Compare(b.Seconds, a.Seconds) })
	shown := []contract.Result{}
	for _, result := range well[:min(len(well), maxSlowest)] {
		result.Message = ""
		shown = append(shown, result)
	}
	return shown
}

// sentence sums the rollout up.
func sentence(in contract.ReportInput, counts map[contract.Outcome]int, well, total int) string {
	text := fmt.Sprintf("%s: %d of %d targets ended well", in.Plan.Run.Resource, well, total)
	var parts []string
	for _, outcome := range metrics.Outcomes() {
		if counts[outcome] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[outcome], outcome))
		}
	}
	text += " (" + strings.Join(parts, ", ") + ")"
	switch {
	case in.RolloutError == nil:
	case in.RolloutError.Error == exceeded:
		text += fmt.Sprintf("; more than the %d allowed failed, which ended the rollout", in.Plan.MaxFailures)
	default:
		text += "; the rollout itself broke: " + in.RolloutError.Error
	}
	return text
}
