package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
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
	var succeeded, failed []contract.Result
	for _, result := range results {
		answer.Counts[result.Outcome]++
		if result.Outcome.Succeeded() {
			succeeded = append(succeeded, result)
		} else {
			failed = append(failed, result)
		}
	}
	if in.RolloutError != nil || len(failed) > in.Plan.MaxFailures {
		answer.Status = contract.StatusFailed
	}
	answer.Message = sentence(in, answer.Counts, len(succeeded), len(results))
	answer.Failed, answer.FailedOmitted = mostSevere(failed)
	answer.Slowest = slowest(succeeded)
	return answer
}

// mostSevere returns the first of the targets that failed, those with an error
// of their own first: they are the reason for the others.
func mostSevere(failed []contract.Result) (shown []contract.Result, omitted int) {
	slices.SortStableFunc(failed, func(a, b contract.Result) int { return cmp.Compare(severity(a), severity(b)) })
	shown = []contract.Result{}
	for _, result := range failed[:min(len(failed), maxFailed)] {
		result.Message = fault.Shorten(result.Message, maxMessage)
		shown = append(shown, result)
	}
	return shown, len(failed) - len(shown)
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
func slowest(succeeded []contract.Result) []contract.Result {
	slices.SortStableFunc(succeeded, func(a, b contract.Result) int { return cmp.Compare(b.Seconds, a.Seconds) })
	shown := []contract.Result{}
	for _, result := range succeeded[:min(len(succeeded), maxSlowest)] {
		result.Message = ""
		shown = append(shown, result)
	}
	return shown
}

// sentence sums the rollout up.
func sentence(in contract.ReportInput, counts map[contract.Outcome]int, succeeded, total int) string {
	text := fmt.Sprintf("%s: %d of %d targets succeeded", in.Plan.Run.Resource, succeeded, total)
	var parts []string
	for _, outcome := range contract.Outcomes() {
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
