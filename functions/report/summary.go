package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// Bounds that keep the answer within a few KiB: it crosses states, and a Fail
// state's cause may hold 32,768 characters. Those in bytes are of JSON, in which a
// character of a message may take six.
// https://docs.aws.amazon.com/step-functions/latest/dg/state-fail.html
const (
	maxFailed      = 20
	maxSlowest     = 5
	maxDifferences = 10
	maxNotes       = 10

	failedBytes      = 14 << 10
	slowestBytes     = 2 << 10
	differencesBytes = 5 << 10
	notesBytes       = 2 << 10

	maxMessage = 400 // bytes, as are the next two
	maxName    = 256 // https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
	maxPath    = 100
	maxPaths   = 5 // of fields, in one result or group
	maxNamed   = 5 // targets of a group
)

// answer makes the answer from every target's result.
func (r rollout) answer(results []contract.Result) contract.Answer {
	run := r.plan.Run
	answer := contract.Answer{
		Execution: run.Execution,
		Operation: run.Operation,
		Resource:  run.Resource,
		DryRun:    run.Apply.DryRun,
		Total:     len(results),
		Counts:    map[contract.Outcome]int{},
		Notes:     r.notes(),
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
	if r.broke != nil {
		answer.RolloutError = &contract.StateError{Error: fault.Shorten(r.broke.Error, maxName), Cause: fault.Shorten(r.broke.Cause, maxMessage)}
	}
	answer.Status = r.status(answer.Counts, len(failed))
	answer.Message = r.sentence(answer.Counts, len(succeeded), len(results))
	answer.Proofs = proofs(succeeded)
	answer.Failed, answer.FailedOmitted = mostSevere(failed)
	answer.Slowest = slowest(succeeded)
	if run.Apply.DryRun {
		answer.Differences, answer.DifferencesOmitted = differences(succeeded)
	}
	return answer
}

// cutShort says that some targets did not come to an end of their own.
func cutShort(counts map[contract.Outcome]int) bool {
	return counts[contract.OutcomeNotStarted]+counts[contract.OutcomeStopped] > 0
}

// status says whether the rollout succeeded: it came to its end, all targets with
// it, and no more of them failed than it may.
func (r rollout) status(counts map[contract.Outcome]int, failed int) contract.Status {
	if r.broke != nil || !r.ended() || cutShort(counts) || failed > r.plan.Run.MaxFailures {
		return contract.StatusFailed
	}
	return contract.StatusSucceeded
}

// sentence sums the rollout up.
func (r rollout) sentence(counts map[contract.Outcome]int, succeeded, total int) string {
	var ends []string
	for _, outcome := range contract.Outcomes() {
		if counts[outcome] > 0 {
			ends = append(ends, fmt.Sprintf("%d %s", counts[outcome], outcome))
		}
	}
	what := r.plan.Run.Resource.String()
	if r.plan.Run.Apply.DryRun {
		what = "dry run of " + what
	}
	said := []string{fmt.Sprintf("%s: %d of %d targets succeeded (%s)", what, succeeded, total, strings.Join(ends, ", "))}
	if most := r.plan.Run.MaxFailures; counts[contract.OutcomeFailed]+counts[contract.OutcomeTimedOut] > most {
		spent := fmt.Sprintf("more than the %d allowed failed", most)
		if counts[contract.OutcomeNotStarted] > 0 {
			spent += ", so no other was started"
		}
		said = append(said, spent)
	} else if succeeded < total && !cutShort(counts) && r.broke == nil {
		said = append(said, fmt.Sprintf("%d may fail", most))
	}
	if cutShort(counts) && r.keys[r.plan.Run.Prefix+runs.Stop] {
		said = append(said, "somebody stopped the rollout")
	}
	switch {
	case r.broke != nil:
		said = append(said, "the rollout itself broke: "+fault.Shorten(r.broke.Error, maxName))
	case !r.ended():
		said = append(said, "the execution was stopped before it could report, or still runs: this is what is known so far")
	}
	return strings.Join(said, "; ")
}

// notes returns what plan noted, and what of the Map's results cannot be read.
func (r rollout) notes() []string {
	var notes []string
	if lost := r.children.lost; len(lost) > 0 {
		notes = append(notes, fmt.Sprintf("parts of the Map's results that cannot be read: %d, the first: %s", len(lost), lost[0]))
	}
	for _, note := range r.plan.Notes {
		notes = append(notes, fault.Shorten(note, maxMessage))
	}
	return fitting(first(notes, maxNotes), notesBytes)
}

// proofs counts what proves Ready.
func proofs(succeeded []contract.Result) map[contract.Proof]int {
	counts := map[contract.Proof]int{}
	for _, result := range succeeded {
		if result.Proof != "" {
			counts[result.Proof]++
		}
	}
	return counts
}

// mostSevere returns the first of the targets that failed, those with an error
// of their own first: they are the reason for the others.
func mostSevere(failed []contract.Result) (shown []contract.Result, omitted int) {
	bySeverity := func(a, b contract.Result) int { return cmp.Compare(severity(a), severity(b)) }
	for _, result := range first(slices.SortedStableFunc(slices.Values(failed), bySeverity), maxFailed) {
		shown = append(shown, brief(result))
	}
	shown = fitting(shown, failedBytes)
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
	bySeconds := func(a, b contract.Result) int { return cmp.Compare(b.Seconds, a.Seconds) }
	var shown []contract.Result
	for _, result := range first(slices.SortedStableFunc(slices.Values(succeeded), bySeconds), maxSlowest) {
		result = brief(result)
		result.Message, result.Fields = "", nil
		shown = append(shown, result)
	}
	return fitting(shown, slowestBytes)
}

// differences groups the targets of a dry run by what would change there, the
// largest group first.
func differences(succeeded []contract.Result) (shown []contract.Differences, omitted int) {
	type difference struct {
		Change contract.Change
		Fields *contract.FieldChanges
	}
	var groups []*contract.Differences
	same := map[string]*contract.Differences{}
	for _, result := range succeeded {
		key, _ := json.Marshal(difference{result.Change, result.Fields}) // of texts and a number: cannot fail
		group := same[string(key)]
		if group == nil {
			group = &contract.Differences{Change: result.Change, Fields: briefFields(result.Fields)}
			same[string(key)] = group
			groups = append(groups, group)
		}
		if group.Total++; group.Total <= maxNamed {
			group.Targets = append(group.Targets, result.String())
		}
	}
	slices.SortStableFunc(groups, func(a, b *contract.Differences) int { return cmp.Compare(b.Total, a.Total) })
	for _, group := range first(groups, maxDifferences) {
		shown = append(shown, *group)
	}
	shown = fitting(shown, differencesBytes)
	return shown, len(groups) - len(shown)
}

// brief bounds the words of a result.
func brief(result contract.Result) contract.Result {
	result.Error = fault.Shorten(result.Error, maxName)
	result.Message = fault.Shorten(result.Message, maxMessage)
	result.ChangeUnknown = fault.Shorten(result.ChangeUnknown, maxMessage)
	result.Fields = briefFields(result.Fields)
	return result
}

// briefFields bounds the paths of fields, those that were removed first.
func briefFields(fields *contract.FieldChanges) *contract.FieldChanges {
	if fields == nil {
		return nil
	}
	room, omitted := maxPaths, fields.Omitted
	some := func(paths []string) []string {
		var shown []string
		for _, path := range first(paths, room) {
			shown = append(shown, fault.Shorten(path, maxPath))
		}
		room -= len(shown)
		omitted += len(paths) - len(shown)
		return shown
	}
	short := &contract.FieldChanges{Removed: some(fields.Removed), Changed: some(fields.Changed), Added: some(fields.Added)}
	short.Omitted = omitted
	return short
}

// fitting returns the first of the items, as many as fit that many bytes of JSON.
// It returns an empty list rather than none.
func fitting[T any](items []T, size int) []T {
	fit := []T{}
	for _, item := range items {
		body, err := json.Marshal(item)
		if size -= len(body) + len(","); err != nil || size < 0 {
			break
		}
		fit = append(fit, item)
	}
	return fit
}

// first returns the first of the items, at most that many.
func first[T any](items []T, most int) []T { return items[:min(len(items), most)] }
