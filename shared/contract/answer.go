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
	// OutcomeFound: get found the resource.
	OutcomeFound Outcome = "Found"
	// OutcomeNotFound: get found that there is none.
	OutcomeNotFound Outcome = "NotFound"
	// OutcomePassed: the check found nothing in the way.
	OutcomePassed Outcome = "Passed"
	// OutcomeWouldCreate: a dry run found that the resource would be created.
	OutcomeWouldCreate Outcome = "WouldCreate"
	// OutcomeWouldChange: a dry run found that the resource would be changed.
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

// Total returns how many of the targets that are counted by outcome have one that is so:
// that has [Outcome.Failed], say.
func Total(counts map[Outcome]int, is func(Outcome) bool) int {
	total := 0
	for outcome, n := range counts {
		if is(outcome) {
			total += n
		}
	}
	return total
}

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
	// ProofNoStatus: the kind has no status, as a ConfigMap has none: that the cluster
	// holds the object is all that there is to wait for.
	ProofNoStatus Proof = "noStatus"
	// ProofStatus: the status has changed since the apply.
	ProofStatus Proof = "status"
	// ProofSettled: nothing proves it, but it stood for ready.settleSeconds.
	ProofSettled Proof = "settled"
)

// Proofs returns every proof, the strongest first.
func Proofs() []Proof {
	return []Proof{ProofGeneration, ProofNew, ProofUnchanged, ProofNoStatus, ProofStatus, ProofSettled}
}

// Result is how one target ended, and the output of its child execution.
type Result struct {
	Target
	// Wave is the name of the target's wave, where there are several.
	Wave string `json:"wave,omitempty"`
	// Overrides are the indexes, from 0, of the request's overrides that it had.
	Overrides []int `json:"overrides,omitempty"`
	// Outcome is how the target ended.
	Outcome Outcome `json:"outcome"`
	// RolledBackFrom is how the target had ended before it was RolledBack because the
	// rollout failed. Error and message then still say why.
	RolledBackFrom Outcome `json:"rolledBackFrom,omitempty"`
	// Change says whether the target was touched: created, configured, deleted or
	// unchanged; none, where nothing was sent; or unknown, for the reason in
	// changeUnknown. It is given for every outcome but NotStarted and Planned. For a dry
	// run it is what would be.
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
	// were worked on. What stands above is then that of all together: the change is the
	// first that is not unchanged. The answer shows few of them, without the words.
	Resources []ResourceResult `json:"resources,omitempty"`
	// Values are the fields that get.fields names, each a list of what its JSONPath
	// found. Only the report has them.
	Values map[string][]any `json:"values,omitempty"`
	// ObjectKey is the key in the run bucket of the object that get found. Only the
	// report has it.
	ObjectKey string `json:"objectKey,omitempty"`
	// Object is the object that get found, for as many targets as [MaxObjects] bytes
	// hold: of the others there is the key alone. Only the report has it.
	Object json.RawMessage `json:"object,omitempty"`
	// Stood is how each resource was when it was found Ready, for the check after a bake
	// time. Neither the answer nor the report has it.
	Stood []Stood `json:"stood,omitempty" docs:"-"`
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
	// Resource names it.
	Resource ResourceRef `json:"resource"`
	// Outcome is how it ended: NotStarted where the target ended at one before it.
	Outcome Outcome `json:"outcome"`
	// Change is as for the target, as are the following.
	Change Change `json:"change,omitempty"`
	// ChangeUnknown is why the change is unknown.
	ChangeUnknown string `json:"changeUnknown,omitempty"`
	// GenerationBefore is the object's generation before.
	GenerationBefore int64 `json:"generationBefore,omitempty"`
	// Generation is the object's generation.
	Generation int64 `json:"generation,omitempty"`
	// Fields are the fields that were changed.
	Fields *FieldChanges `json:"fields,omitempty"`
	// Proof is why a Ready is believed.
	Proof Proof `json:"proof,omitempty"`
	// Message says in words how it ended.
	Message string `json:"message,omitempty"`
	// ObjectKey is the key of the object that get found.
	ObjectKey string `json:"objectKey,omitempty"`
	// Object is that object.
	Object json.RawMessage `json:"object,omitempty"`
}

// WaveAnswer is how a wave ended.
type WaveAnswer struct {
	// Name is its name.
	Name string `json:"name"`
	// Total is the number of its targets.
	Total int `json:"total"`
	// Counts is how many of them ended in each outcome that occurred, after the check
	// and the rollback, if there were any.
	Counts map[Outcome]int `json:"counts"`
}

// Differences are targets on which a dry run would change the same.
type Differences struct {
	// Change is what would become of the object.
	Change Change `json:"change"`
	// Fields are the fields that would change; of several resources each with its
	// resource before it.
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
	// failed than rollout.maxFailures and those of the waves allow.
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
	// Resources are the objects.
	Resources []ResourceRef `json:"resources"`
	// Rules are those by which each of them is judged.
	Rules []string `json:"rules,omitempty"`
	// Inputs are the objects of the run bucket that the request names, with the digests
	// that they had.
	Inputs []InputObject `json:"inputs,omitempty"`
	// Labels are those of the request.
	Labels map[string]string `json:"labels,omitempty"`
	// Plan repeats the request's plan: nothing was worked on.
	Plan bool `json:"plan,omitempty"`
	// DryRun repeats the request's apply.dryRun: nothing was kept.
	DryRun bool `json:"dryRun"`
	// Status is how the execution ended.
	Status Status `json:"status"`
	// Message sums the rollout up in a sentence.
	Message string `json:"message"`
	// Total is the number of targets. An account whose clusters could not be listed
	// counts as one: its result has no region and no cluster.
	Total int `json:"total"`
	// Counts is how many of them ended in each outcome that occurred.
	Counts map[Outcome]int `json:"counts"`
	// Waves are the waves, where there are several.
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
