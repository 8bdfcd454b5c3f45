package contract

import "slices"

// Outcome is how one target ended. Ready, Applied and Unchanged are
// successes; a target with another counts against rollout.maxFailures.
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
	// OutcomeFailed: an error ended the target; see its name.
	OutcomeFailed Outcome = "Failed"
	// OutcomeTimedOut: the resource was not Ready in time.
	OutcomeTimedOut Outcome = "TimedOut"
	// OutcomeNotStarted: the failure budget was spent, or somebody stopped the
	// rollout, before this target's turn. It was not touched.
	OutcomeNotStarted Outcome = "NotStarted"
	// OutcomeStopped: the execution was stopped while this target was worked on; in a
	// report on an execution that still runs, the target is under way.
	OutcomeStopped Outcome = "Stopped"
)

// successes are the outcomes of targets that succeeded.
var successes = []Outcome{OutcomeReady, OutcomeApplied, OutcomeUnchanged}

// Outcomes returns every outcome, successes first.
func Outcomes() []Outcome {
	return append(slices.Clone(successes), OutcomeFailed, OutcomeTimedOut, OutcomeStopped, OutcomeNotStarted)
}

// Succeeded says whether a target with this outcome counts as a success.
func (o Outcome) Succeeded() bool { return slices.Contains(successes, o) }

// Proof is why a Ready is believed to be about what was applied.
type Proof string

// The proofs, the strongest first.
const (
	// ProofGeneration: the operator says that its status is about the generation
	// that the apply made.
	ProofGeneration Proof = "generation"
	// ProofNew: the apply created the object, so any status is about it.
	ProofNew Proof = "new"
	// ProofUnchanged: the apply changed nothing, so the status is about this form.
	ProofUnchanged Proof = "unchanged"
	// ProofStatus: the status has changed since the apply.
	ProofStatus Proof = "status"
	// ProofSettled: nothing proves it, but it stood for ready.settleSeconds.
	ProofSettled Proof = "settled"
)

// Proofs returns every proof, the strongest first.
func Proofs() []Proof {
	return []Proof{ProofGeneration, ProofNew, ProofUnchanged, ProofStatus, ProofSettled}
}

// Result is how one target ended, and the output of its child execution.
type Result struct {
	Target
	// Outcome is how the target ended.
	Outcome Outcome `json:"outcome"`
	// Change says whether the target was touched: created, configured or unchanged;
	// none, where nothing was sent; or unknown, for the reason in changeUnknown. It
	// is given for every outcome but NotStarted. For a dry run it is what would be.
	Change Change `json:"change,omitempty"`
	// ChangeUnknown is why the change is unknown.
	ChangeUnknown string `json:"changeUnknown,omitempty"`
	// GenerationBefore is the object's generation before the apply, 0 where there
	// was none.
	GenerationBefore int64 `json:"generationBefore,omitempty"`
	// Generation is the one that the apply made, and that Ready is about.
	Generation int64 `json:"generation,omitempty"`
	// Fields are the fields that the apply changed.
	Fields *FieldChanges `json:"fields,omitempty"`
	// Proof is why a Ready is believed.
	Proof Proof `json:"proof,omitempty"`
	// Error is the error's name (see errors.md) of a target that Failed or TimedOut.
	Error string `json:"error,omitempty"`
	// Message says in words how the target ended, and by which rule a Ready was
	// judged.
	Message string `json:"message,omitempty"`
	// Seconds is how long the target took. Only the answer and the report have it.
	Seconds float64 `json:"seconds,omitempty"`
}

// Differences are targets on which a dry run would change the same.
type Differences struct {
	// Change is what would become of the object.
	Change Change `json:"change"`
	// Fields are the fields that would change.
	Fields *FieldChanges `json:"fields,omitempty"`
	// Total is the number of these targets.
	Total int `json:"total"`
	// Targets names some of them, as account/region/cluster.
	Targets []string `json:"targets"`
}

// Status is how an execution ended.
type Status string

// The statuses.
const (
	// StatusSucceeded: every target came to an end of its own, and no more of them
	// failed than rollout.maxFailures allows.
	StatusSucceeded Status = "Succeeded"
	// StatusFailed: more did, targets were not started or stopped, or the rollout
	// itself broke.
	StatusFailed Status = "Failed"
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
	// Message sums the rollout up in a sentence.
	Message string `json:"message"`
	// Total is the number of targets.
	Total int `json:"total"`
	// Counts is how many of them ended in each outcome that occurred.
	Counts map[Outcome]int `json:"counts"`
	// Proofs is how many targets that are Ready have each proof.
	Proofs map[Proof]int `json:"proofs,omitempty"`
	// Differences groups the targets of a dry run by what would change there, the
	// largest group first.
	Differences []Differences `json:"differences,omitempty"`
	// DifferencesOmitted is how many more groups there are in the full report.
	DifferencesOmitted int `json:"differencesOmitted,omitempty"`
	// Failed lists targets that did not succeed, those with an error of their own
	// first.
	Failed []Result `json:"failed"`
	// FailedOmitted is how many more of them the full report holds.
	FailedOmitted int `json:"failedOmitted"`
	// Slowest lists the targets that took longest to succeed, slowest first.
	Slowest []Result `json:"slowest"`
	// Report is the s3:// URI of the full report: a JSON array of every
	// target's [Result].
	Report string `json:"report"`
	// Notes say what the request's author should know, for example that fewer
	// targets were worked on at once than asked for.
	Notes []string `json:"notes,omitempty"`
	// RolloutError is set when the rollout as a whole broke.
	RolloutError *StateError `json:"rolloutError,omitempty"`
}
