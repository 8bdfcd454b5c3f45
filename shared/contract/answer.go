package contract

import (
	"encoding/json"
	"slices"
)

// Outcome is how one target ended. A target that neither succeeded nor was Skipped
// counts against the failure budget.
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
	// OutcomeDeleted: the resource is gone.
	OutcomeDeleted Outcome = "Deleted"
	// OutcomeFound and OutcomeNotFound: get found the resource, or there is none.
	OutcomeFound    Outcome = "Found"
	OutcomeNotFound Outcome = "NotFound"
	// OutcomePassed: the check found nothing in the way.
	OutcomePassed Outcome = "Passed"
	// OutcomeWouldCreate and OutcomeWouldChange: what a dry run found that it would do.
	OutcomeWouldCreate Outcome = "WouldCreate"
	OutcomeWouldChange Outcome = "WouldChange"
	// OutcomePlanned: the request was for the plan alone.
	OutcomePlanned Outcome = "Planned"
	// OutcomeRolledBack: what was there before has been brought back. It is a success of
	// an execution that was started to roll back, and of no other.
	OutcomeRolledBack Outcome = "RolledBack"
	// OutcomeSkipped: an error ended the target that rollout.tolerate names.
	OutcomeSkipped Outcome = "Skipped"
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
var successes = []Outcome{
	OutcomeReady, OutcomeApplied, OutcomeUnchanged, OutcomeDeleted, OutcomeFound, OutcomeNotFound, OutcomePassed,
	OutcomeWouldCreate, OutcomeWouldChange, OutcomePlanned, OutcomeRolledBack,
}

// Outcomes returns every outcome, successes first.
func Outcomes() []Outcome {
	return append(slices.Clone(successes), OutcomeSkipped, OutcomeFailed, OutcomeTimedOut, OutcomeStopped, OutcomeNotStarted)
}

// Succeeded says whether a target with this outcome counts as a success.
func (o Outcome) Succeeded() bool { return slices.Contains(successes, o) }

// Failed says whether a target with this outcome counts against the failure budget.
func (o Outcome) Failed() bool { return o == OutcomeFailed || o == OutcomeTimedOut }

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
	// Wave is the name of the target's wave, where there are several, and Overrides are
	// the indexes of the request's overrides that it had. Only the answer and the report
	// have them.
	Wave      string `json:"wave,omitempty"`
	Overrides []int  `json:"overrides,omitempty"`
	// Outcome is how the target ended. After a rollback RolledBackFrom is how it had
	// ended before; error and message then still say why.
	Outcome        Outcome `json:"outcome"`
	RolledBackFrom Outcome `json:"rolledBackFrom,omitempty"`
	// Change says whether the target was touched: created, configured or unchanged;
	// none, where nothing was sent; or unknown, for the reason in changeUnknown. It
	// is given for every outcome but NotStarted and Planned. For a dry run it is what
	// would be.
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
	// Resources are what became of each of several resources, in the order in which they
	// were worked on. Where there are several, what stands above is that of all together:
	// the change is the first that is not unchanged.
	Resources []ResourceResult `json:"resources,omitempty"`
	// Values are the fields that get.fields names, each a list of what its JSONPath
	// found. Only the report has them.
	Values map[string][]any `json:"values,omitempty"`
	// ObjectKey is the key in the run bucket of the object that get found, and Object the
	// object itself, for as many targets as [MaxObjects] bytes hold: of the others there
	// is the key alone. Only the report has them.
	ObjectKey string          `json:"objectKey,omitempty"`
	Object    json.RawMessage `json:"object,omitempty"`
	// Stood is how each resource was when it was found Ready, for the check after a bake
	// time.
	Stood []Stood `json:"stood,omitempty"`
	// Error is the error's name (see errors.md) of a target that Failed, TimedOut or was
	// Skipped.
	Error string `json:"error,omitempty"`
	// Message says in words how the target ended, and by which rule a Ready was
	// judged.
	Message string `json:"message,omitempty"`
	// Seconds is how long the target took. Only the answer and the report have it.
	Seconds float64 `json:"seconds,omitempty"`
}

// MaxObjects bounds the objects in a report, in bytes.
const MaxObjects = 50 << 20

// ResourceResult is what became of one of a target's several resources.
type ResourceResult struct {
	Resource ResourceRef `json:"resource"`
	Outcome  Outcome     `json:"outcome"`
	// The rest is as in [Result].
	Change           Change        `json:"change,omitempty"`
	ChangeUnknown    string        `json:"changeUnknown,omitempty"`
	GenerationBefore int64         `json:"generationBefore,omitempty"`
	Generation       int64         `json:"generation,omitempty"`
	Fields           *FieldChanges `json:"fields,omitempty"`
	Proof            Proof         `json:"proof,omitempty"`
	Message          string        `json:"message,omitempty"`
	// ObjectKey and Object are as in [Result], where there are several resources.
	ObjectKey string          `json:"objectKey,omitempty"`
	Object    json.RawMessage `json:"object,omitempty"`
}

// WaveAnswer is how a wave ended.
type WaveAnswer struct {
	Name string `json:"name"`
	// Total is the number of its targets, and Counts how many ended in each outcome.
	Total  int             `json:"total"`
	Counts map[Outcome]int `json:"counts"`
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
	// Operation is what was done with the resources.
	Operation Operation `json:"operation"`
	// Resources name the objects.
	Resources []ResourceRef `json:"resources"`
	// Rules say by what each of them is judged.
	Rules []string `json:"rules,omitempty"`
	// Inputs are the objects of the run bucket that the request names, with the digests
	// that they had.
	Inputs []InputObject `json:"inputs,omitempty"`
	// Labels are the request's.
	Labels map[string]string `json:"labels,omitempty"`
	// Plan repeats the request's plan: nothing was worked on.
	Plan bool `json:"plan,omitempty"`
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
	// Waves are the waves, where there are several, with the targets of each.
	Waves []WaveAnswer `json:"waves,omitempty"`
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
