package contract

import "slices"

// Outcome is how one target ended. Ready, Applied, Unchanged, Deleted and Found
// are successes; a target with another counts against rollout.maxFailures.
type Outcome string

// The outcomes.
const (
	// OutcomeReady: the resource was created or changed, and the operator
	// reported it Ready in this form.
	OutcomeReady Outcome = "Ready"
	// OutcomeApplied: the cluster accepted the resource and nothing was to be
	// waited for.
	OutcomeApplied Outcome = "Applied"
	// OutcomeUnchanged: the cluster held the resource in this form already, and
	// (but for a dry run) the operator reports it Ready.
	OutcomeUnchanged Outcome = "Unchanged"
	// OutcomeDeleted: the object is gone.
	OutcomeDeleted Outcome = "Deleted"
	// OutcomeFound: the object was read.
	OutcomeFound Outcome = "Found"
	// OutcomeFailed: an error ended the target; see its name.
	OutcomeFailed Outcome = "Failed"
	// OutcomeTimedOut: the resource was not Ready in time.
	OutcomeTimedOut Outcome = "TimedOut"
	// OutcomeNotStarted: the rollout ended before this target's turn.
	OutcomeNotStarted Outcome = "NotStarted"
	// OutcomeStopped: the rollout ended while this target was worked on; its
	// state is unknown.
	OutcomeStopped Outcome = "Stopped"
)

// successes are the outcomes of targets that succeeded.
var successes = []Outcome{OutcomeReady, OutcomeApplied, OutcomeUnchanged, OutcomeDeleted, OutcomeFound}

// Outcomes returns every outcome, successes first.
func Outcomes() []Outcome {
	return append(slices.Clone(successes), OutcomeFailed, OutcomeTimedOut, OutcomeStopped, OutcomeNotStarted)
}

// Succeeded says whether a target with this outcome counts as a success.
func (o Outcome) Succeeded() bool { return slices.Contains(successes, o) }

// Result is how one target ended, and the output of its child execution.
type Result struct {
	Target
	// Outcome is how the target ended.
	Outcome Outcome `json:"outcome"`
	// Change is what the apply did to the object.
	Change Change `json:"change,omitempty"`
	// Generation is the object's generation that was applied and, with outcome
	// Ready or Unchanged, reported Ready.
	Generation int64 `json:"generation,omitempty"`
	// Error is the error's name (see errors.md) when the target did not succeed.
	Error string `json:"error,omitempty"`
	// Message says in words how the target ended.
	Message string `json:"message,omitempty"`
	// Seconds is how long the target took. Only the answer and the report have it.
	Seconds float64 `json:"seconds,omitempty"`
}

// Status is how an execution ended.
type Status string

// The statuses.
const (
	// StatusSucceeded: no more targets failed than rollout.maxFailures allows.
	StatusSucceeded Status = "Succeeded"
	// StatusFailed: more did, or the rollout itself broke.
	StatusFailed Status = "Failed"
	// StatusDuplicate: another execution has the request's idempotency key, and
	// this one did nothing.
	StatusDuplicate Status = "Duplicate"
)

// Answer is the output of an execution, and the cause when it fails with
// CrossApply.RolloutFailed. It stays within a few KiB however many targets
// there are; everything is in the full report.
type Answer struct {
	// Execution is the ARN of the execution.
	Execution string `json:"execution"`
	// Operation is what was done with the resource.
	Operation Operation `json:"operation"`
	// Resource names the object.
	Resource ResourceRef `json:"resource"`
	// DryRun repeats the request's apply.dryRun: nothing was kept.
	DryRun bool `json:"dryRun"`
	// Status is how the execution ended.
	Status Status `json:"status"`
	// DuplicateOf is the ARN of the execution that has the idempotency key, with
	// status Duplicate.
	DuplicateOf string `json:"duplicateOf,omitempty"`
	// Message sums the rollout up in a sentence.
	Message string `json:"message"`
	// Total is the number of targets.
	Total int `json:"total"`
	// Counts is how many of them ended in each outcome that occurred.
	Counts map[Outcome]int `json:"counts"`
	// Failed lists targets that did not succeed, those with an error of their own
	// first.
	Failed []Result `json:"failed"`
	// FailedOmitted is how many more of them the full report holds.
	FailedOmitted int `json:"failedOmitted"`
	// Slowest lists the targets that took longest to succeed, slowest first.
	Slowest []Result `json:"slowest"`
	// Report is the s3:// URI of the full report: a JSON array of every
	// target's [Result]. A duplicate has none of its own.
	Report string `json:"report,omitempty"`
	// RolloutError is set when the rollout as a whole was cut short: by the
	// failure budget, or by a defect.
	RolloutError *StateError `json:"rolloutError,omitempty"`
}
