package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/phases"
)

// answer makes the answer from every target's result.
func (r rollout) answer(results []contract.Result) contract.Answer {
	run := r.plan.Run
	answer := contract.Answer{
		Execution: run.Execution,
		Operation: run.Operation,
		Plan:      r.plan.Preview,
		DryRun:    run.Apply.DryRun,
		Total:     len(results),
		Counts:    countsOf(results),
		Waves:     r.waveAnswers(results),
		Notes:     r.notes(),
	}
	var good, bad []*contract.Result
	for i := range results {
		if result := &results[i]; isSuccess(result) {
			good = append(good, result)
		} else {
			bad = append(bad, result)
		}
	}
	reason := r.whyFailed(answer.Counts)
	answer.Status = r.status(answer.Counts, reason)
	answer.Message = r.sentence(answer.Counts, len(good), reason)
	answer.RolloutError = r.rolloutError()
	answer.Proofs = proofs(good)
	r.repeat(&answer)

	// The lists share what room the rest leaves.
	room := answerBytes - sizeOf(answer)
	answer.Failed, answer.FailedOmitted = mostSevere(bad, min(failedBytes, room*5/8))
	answer.Slowest = slowest(good, min(slowestBytes, room/8))
	if run.Apply.DryRun {
		answer.Differences, answer.DifferencesOmitted = differences(good, min(differencesBytes, room/4))
	}
	return answer
}

// isSuccess says whether a target came to a good end: one that was rolled back, because
// others or itself had failed, did not.
func isSuccess(result *contract.Result) bool {
	return result.Outcome.Succeeded() && result.RolledBackFrom == ""
}

func countsOf(results []contract.Result) map[contract.Outcome]int {
	counts := map[contract.Outcome]int{}
	for _, result := range results {
		counts[result.Outcome]++
	}
	return counts
}

// waveAnswers says how the waves ended, where there are several. They are of the plan's
// targets, which come first in the results.
func (r rollout) waveAnswers(results []contract.Result) []contract.WaveAnswer {
	if len(r.layout.Waves) < 2 {
		return nil
	}
	waves := make([]contract.WaveAnswer, len(r.layout.Waves))
	for i, wave := range r.layout.Waves {
		waves[i] = contract.WaveAnswer{Name: wave.Name, Counts: map[contract.Outcome]int{}}
	}
	for i, target := range r.layout.Targets {
		wave := &waves[target.Wave-1]
		wave.Total++
		wave.Counts[results[i].Outcome]++
	}
	return waves
}

// cutShort says that some targets did not come to an end of their own.
func cutShort(counts map[contract.Outcome]int) bool {
	return counts[contract.OutcomeNotStarted]+counts[contract.OutcomeStopped] > 0
}

// whyFailed says why the rollout failed, if its phases or the numbers of its targets say
// so.
func (r rollout) whyFailed(counts map[contract.Outcome]int) string {
	if reason, failed := phases.Failed(r.state()); failed {
		return cmp.Or(reason, "it ended before its last wave")
	}
	if failed, most := contract.Total(counts, contract.Outcome.Failed), r.plan.Run.MaxFailures; failed > most {
		return fmt.Sprintf("%d failed, and %d may", failed, most)
	}
	return ""
}

// status says whether the rollout succeeded: it came to its end, all targets with
// it, and nothing says why it failed.
func (r rollout) status(counts map[contract.Outcome]int, reason string) contract.Status {
	if reason != "" || r.broke != nil || !r.ended() || cutShort(counts) {
		return contract.StatusFailed
	}
	return contract.StatusSucceeded
}

// sentence sums the rollout up. The reason is why it failed, if its phases say so.
func (r rollout) sentence(counts map[contract.Outcome]int, good int, reason string) string {
	var ends []string
	total := 0
	for _, outcome := range contract.Outcomes() {
		if counts[outcome] == 0 {
			continue
		}
		total += counts[outcome]
		ends = append(ends, fmt.Sprintf("%d %s", counts[outcome], outcome))
	}
	targets := fmt.Sprintf("%d of %d targets succeeded", good, total)
	if r.plan.Preview {
		targets = fmt.Sprintf("%d targets, none of them touched", total)
	}
	said := []string{fmt.Sprintf("%s: %s (%s)", r.subject(), targets, strings.Join(ends, ", "))}
	if total == 0 {
		said[0] = r.subject() + ": no cluster was selected"
	}
	switch {
	case reason != "":
		said = append(said, fault.Shorten(reason, maxMessage))
	case cutShort(counts) && r.stopped():
		said = append(said, "somebody stopped the rollout")
	case contract.Total(counts, contract.Outcome.Failed) > 0 && !cutShort(counts) && r.broke == nil:
		said = append(said, fmt.Sprintf("%d may fail", r.plan.Run.MaxFailures))
	}
	said = append(said, r.rolledBack())
	switch {
	case r.broke != nil:
		said = append(said, "the rollout itself broke: "+fault.Shorten(r.broke.Error, maxErrorName))
	case !r.ended():
		said = append(said, "the execution was stopped before it could report, or still runs: this is what is known so far")
	}
	return sentences(said...)
}

// subject says what was done with what.
func (r rollout) subject() string {
	run := r.plan.Run
	subject := "the clusters"
	if resources := run.Resources; len(resources) > 0 {
		subject = fault.Shorten(resources[0].String(), maxMessage)
		if more := len(resources) - 1; more > 0 {
			subject += fmt.Sprintf(" and %d more", more)
		}
	}
	if run.Operation != operation.Default {
		subject = string(run.Operation) + " of " + subject
	}
	switch {
	case r.plan.Preview:
		return "plan of " + subject
	case run.Apply.DryRun:
		return "dry run of " + subject
	}
	return subject
}

// rolledBack says how many of the targets that had been changed were rolled back.
func (r rollout) rolledBack() string {
	back, changed := 0, 0
	for _, p := range r.phases {
		if p.Kind == contract.PhaseRollback && p.ended {
			back += p.Counts[contract.OutcomeRolledBack]
			changed += p.Total - p.Counts[contract.OutcomeUnchanged]
		}
	}
	if changed == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d targets that had been changed were rolled back", back, changed)
}

// rolloutError is the error that ended the rollout as a whole, or the Map of one of its
// phases.
func (r rollout) rolloutError() *contract.StateError {
	broke := r.broke
	for _, p := range r.phases {
		broke = cmp.Or(broke, p.Broke)
	}
	if broke == nil {
		return nil
	}
	return &contract.StateError{Error: fault.Shorten(broke.Error, maxErrorName), Cause: fault.Shorten(broke.Cause, maxMessage)}
}

// notes returns what plan noted, and what of the Maps' results cannot be read.
func (r rollout) notes() []string {
	var notes, lost []string
	for _, p := range r.phases {
		lost = append(lost, p.lost...)
	}
	if len(lost) > 0 {
		notes = append(notes, fmt.Sprintf("parts of the Map's results that cannot be read: %d, the first: %s", len(lost), lost[0]))
	}
	for _, note := range r.plan.Notes {
		notes = append(notes, fault.Shorten(note, maxMessage))
	}
	return fitting(first(notes, maxNotes), notesBytes)
}

// repeat puts into the answer what it repeats of the request and of the plan, as far as
// there is room for it, and notes what there is no room for.
func (r rollout) repeat(answer *contract.Answer) {
	run := r.plan.Run
	answer.Resources = fitting(run.Resources, resourcesBytes)
	answer.Rules = fitting(r.layout.Rules, rulesBytes)
	answer.Inputs = fitting(r.layout.Inputs, inputsBytes)
	waves := answer.Waves
	answer.Waves = fitting(waves, wavesBytes)
	type label struct{ Key, Value string }
	var labels []label
	for _, key := range slices.Sorted(maps.Keys(r.plan.Labels)) {
		labels = append(labels, label{key, r.plan.Labels[key]})
	}
	answer.Labels = map[string]string{}
	for _, l := range fitting(labels, labelsBytes) {
		answer.Labels[l.Key] = l.Value
	}
	for _, list := range []struct {
		what       string
		shown, all int
	}{
		{"resources", len(answer.Resources), len(run.Resources)},
		{"rules", len(answer.Rules), len(r.layout.Rules)},
		{"inputs", len(answer.Inputs), len(r.layout.Inputs)},
		{"labels", len(answer.Labels), len(labels)},
		{"waves", len(answer.Waves), len(waves)},
	} {
		if list.shown < list.all {
			answer.Notes = append(answer.Notes, fmt.Sprintf("the answer has room for %d of %d %s", list.shown, list.all, list.what))
		}
	}
}

// proofs counts what proves Ready.
func proofs(good []*contract.Result) map[contract.Proof]int {
	counts := map[contract.Proof]int{}
	for _, result := range good {
		if result.Proof != "" {
			counts[result.Proof]++
		}
	}
	return counts
}

// mostSevere returns the first of the targets that did not succeed, those with an error
// of their own first: they are the reason for the others.
func mostSevere(bad []*contract.Result, size int) (shown []contract.Result, omitted int) {
	bySeverity := func(a, b *contract.Result) int { return cmp.Compare(severity(a), severity(b)) }
	for _, result := range first(slices.SortedStableFunc(slices.Values(bad), bySeverity), maxFailed) {
		shown = append(shown, brief(*result))
	}
	shown = fitting(shown, size)
	return shown, len(bad) - len(shown)
}

func severity(result *contract.Result) int {
	switch {
	case result.Outcome.Failed():
		return 0
	case result.Error != "" && result.Outcome == contract.OutcomeRolledBack:
		return 1
	case result.Outcome == contract.OutcomeSkipped:
		return 2
	case result.Outcome == contract.OutcomeStopped:
		return 3
	case result.Outcome == contract.OutcomeRolledBack:
		return 4
	}
	return 5
}

// slowest returns the targets that took longest, without the words.
func slowest(good []*contract.Result, size int) []contract.Result {
	bySeconds := func(a, b *contract.Result) int { return cmp.Compare(b.Seconds, a.Seconds) }
	var shown []contract.Result
	for _, result := range first(slices.SortedStableFunc(slices.Values(good), bySeconds), maxSlowest) {
		if result.Outcome == contract.OutcomePlanned {
			break // nothing took any time
		}
		short := brief(*result)
		short.Message, short.Fields, short.Resources = "", nil, nil
		shown = append(shown, short)
	}
	return fitting(shown, size)
}
