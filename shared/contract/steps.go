package contract

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"time"
)

// Run is what every step knows of the execution it works for. plan makes it;
// nothing in it lets a request steer where credentials go.
type Run struct {
	// Execution is the ARN of the execution that the caller started.
	Execution string `json:"execution"`
	// Name is the name of that execution.
	Name string `json:"name"`
	// Bucket is the run bucket, in which Prefix is this execution's own part:
	// see package runs for what lies there.
	Bucket string `json:"bucket"`
	Prefix string `json:"prefix"`
	// ReportKey is the key in the run bucket of the full report, beside which lie the
	// objects that get found.
	ReportKey string `json:"reportKey"`
	// Journal is the prefix of the execution whose journal a rollback brings back:
	// Prefix, or that of an earlier execution.
	Journal string `json:"journal,omitempty"`
	// Operation is what the request asks for. What a child does is its phase's.
	Operation Operation `json:"operation"`
	// Resources name the objects, in the order of the request; their bodies stay in the
	// run bucket. There is none with the operation check on clusters alone.
	Resources []ResourceRef `json:"resources"`
	// Apply, Get, Delete, Check and Ready are the request's options with the defaults
	// filled in.
	Apply  ApplySettings  `json:"apply"`
	Get    *GetOptions    `json:"get,omitempty"`
	Delete *DeleteOptions `json:"delete,omitempty"`
	Check  *CheckOptions  `json:"check,omitempty"`
	Ready  ReadySettings  `json:"ready"`
	// MaxFailures is how many targets may fail, as a count, before no other starts.
	MaxFailures int `json:"maxFailures"`
	// Tolerate are the errors that end a target as Skipped. It is never null.
	Tolerate []string `json:"tolerate"`
	// OnFailure says what to do when more have failed.
	OnFailure OnFailure `json:"onFailure"`
}

// ResourceRef names an object without its body.
type ResourceRef struct {
	// APIVersion is its API group and version, such as "kafka.strimzi.io/v1beta2".
	APIVersion string `json:"apiVersion"`
	// Kind is its kind, such as "KafkaTopic"; empty where the request gives the plural.
	Kind string `json:"kind,omitempty"`
	// Plural is the kind's name in URLs, such as "kafkatopics", where the request gives
	// that.
	Plural string `json:"plural,omitempty"`
	// Namespace is empty for a cluster-scoped kind.
	Namespace string `json:"namespace,omitempty"`
	// Name is its metadata.name.
	Name string `json:"name"`
}

// String returns "Kind namespace/name" for messages.
func (r ResourceRef) String() string {
	kind := cmp.Or(r.Kind, r.Plural)
	if r.Namespace == "" {
		return kind + " " + r.Name
	}
	return kind + " " + r.Namespace + "/" + r.Name
}

// ApplySettings is [ApplyOptions] with the defaults filled in.
type ApplySettings struct {
	FieldManager string   `json:"fieldManager"`
	Force        bool     `json:"force"`
	Adopt        []string `json:"adopt,omitempty"`
	Removals     Removals `json:"removals"`
	DryRun       bool     `json:"dryRun"`
}

// ReadySettings is [ReadyOptions] with the defaults filled in.
type ReadySettings struct {
	Wait bool `json:"wait"`
	// Condition is empty and Expressions nil where the request has none: the kind
	// then says how it is judged. Kind, where it is not empty, is the only one that they
	// judge.
	Kind        string            `json:"kind,omitempty"`
	Condition   string            `json:"condition,omitempty"`
	Expressions *ReadyExpressions `json:"expressions,omitempty"`
	// TimeoutSeconds is the hard limit of the wait, in seconds.
	TimeoutSeconds      int  `json:"timeoutSeconds"`
	FailureGraceSeconds int  `json:"failureGraceSeconds"`
	SettleSeconds       int  `json:"settleSeconds"`
	RequireGeneration   bool `json:"requireGeneration"`
}

// PlanInput is what plan is called with.
type PlanInput struct {
	// Execution and Name are the ARN and the name of the execution.
	Execution string `json:"execution"`
	Name      string `json:"name"`
	// Started is when it was started.
	Started time.Time `json:"started"`
	// Request is the execution's input as it was given.
	Request json.RawMessage `json:"request"`
	// Configured is what selectors choose from.
	Configured ConfiguredTargets `json:"configured"`
}

// ConfiguredTargets is what the deployment's configuration says of the clusters. The
// definition holds it, since the environment of a function holds 4 KB.
type ConfiguredTargets struct {
	// Accounts are the ids of the accounts that it lists, with spaces between them, as
	// are the other fields.
	Accounts string `json:"accounts"`
	// OrganizationalUnits are the units all of whose accounts have the access role.
	OrganizationalUnits string `json:"organizationalUnits"`
	// Regions are those that selectors look in which name none.
	Regions string `json:"regions"`
}

// PlanOutput is what plan found. There is one of three: another execution that this
// one repeats (First), accounts whose clusters have to be listed before plan is
// called again (Discovery), or the plan, with what to do next.
type PlanOutput struct {
	Run Run `json:"run"`
	// First is the execution that has the request's idempotency key, where it is not
	// this one.
	First *FirstExecution `json:"first,omitempty"`
	// Discovery is where the clusters have to be looked for.
	Discovery *Discovery `json:"discovery,omitempty"`
	// Next is what to do first.
	Next *Next `json:"next,omitempty"`
	// Total is the number of targets.
	Total int `json:"total"`
	// Preview repeats the request's plan: nothing is worked on.
	Preview bool `json:"preview"`
	// Labels are the request's. It is never null.
	Labels map[string]string `json:"labels"`
	// Notes say what the request's author should know: see [Answer].
	Notes []string `json:"notes,omitempty"`
}

// Discovery is where clusters are looked for, by one child execution per account.
type Discovery struct {
	// ItemsKey is the key in the run bucket of a JSON array of [Account].
	ItemsKey string `json:"itemsKey"`
	// ResultsPrefix is the prefix in the run bucket for the Map's results.
	ResultsPrefix string `json:"resultsPrefix"`
	// MaxConcurrency is how many accounts are looked at at once.
	MaxConcurrency int `json:"maxConcurrency"`
}

// Account is an account in which clusters are looked for.
type Account struct {
	Account string `json:"account"`
	// Regions are those to look in.
	Regions []string `json:"regions"`
	// Clusters are patterns of the names that matter; none stands for all.
	Clusters []string `json:"clusters,omitempty"`
	// Tags says that the clusters' tags are asked for.
	Tags bool `json:"tags"`
}

// DiscoverInput is what discover is called with.
type DiscoverInput struct {
	Run Run `json:"run"`
	Account
}

// DiscoverOutput says how many clusters were found. What was found lies in the run
// bucket: [Found], at [runs.Discovered] and the account's id.
type DiscoverOutput struct {
	Account string `json:"account"`
	// Clusters is their number.
	Clusters int `json:"clusters"`
}

// Found is what discover found in an account.
type Found struct {
	Clusters []FoundCluster `json:"clusters"`
	// NotEnabled are Regions that the account has not enabled, in which it has no
	// clusters.
	NotEnabled []string `json:"notEnabled,omitempty"`
}

// FoundCluster is a cluster that discover found.
type FoundCluster struct {
	Region string            `json:"region"`
	Name   string            `json:"name"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// Layout is the whole plan, in the run bucket at [runs.Layout]: what does not travel
// with every state.
type Layout struct {
	// Targets are all targets, in the order in which they are worked on.
	Targets []PlannedTarget `json:"targets"`
	// Waves are the waves, in order.
	Waves []PlannedWave `json:"waves"`
	// Accounts are those whose clusters could not be listed: each counts as a target
	// that failed.
	Accounts []Result `json:"accounts,omitempty"`
	// Rules say how each of the resources is judged, in words.
	Rules []string `json:"rules"`
	// Inputs are the objects of the run bucket that the request names, with the digests
	// that they had.
	Inputs []InputObject `json:"inputs,omitempty"`
	// ApprovalTimeoutSeconds and Strict are the request's rollout.approvalTimeoutSeconds
	// and whether rollout.concurrencyMode is strict.
	ApprovalTimeoutSeconds int  `json:"approvalTimeoutSeconds"`
	Strict                 bool `json:"strict"`
}

// PlannedTarget is a target in the plan.
type PlannedTarget struct {
	Target
	// Wave is the number of its wave, from 1.
	Wave int `json:"wave"`
	// Overrides are the indexes of the request's overrides that it has.
	Overrides []int `json:"overrides,omitempty"`
}

// PlannedWave is a wave in the plan.
type PlannedWave struct {
	Name string `json:"name"`
	// ItemsKey is the key in the run bucket of a JSON array of [TargetItem].
	ItemsKey string `json:"itemsKey"`
	// Total is the number of its targets. A wave without any is passed over.
	Total int `json:"total"`
	// MaxConcurrency is how many of its targets are worked on at once, and MaxFailures
	// how many of them may fail: nil where only that of the whole counts.
	MaxConcurrency int  `json:"maxConcurrency"`
	MaxFailures    *int `json:"maxFailures,omitempty"`
	// BakeSeconds is how long it is waited for after the wave.
	BakeSeconds int     `json:"bakeSeconds,omitempty"`
	Approval    bool    `json:"approval,omitempty"`
	Window      *Window `json:"window,omitempty"`
}

// TargetItem is an item of the Map over targets.
type TargetItem struct {
	Target Target `json:"target"`
	// Overrides are the indexes of the request's overrides that the target has.
	Overrides []int `json:"overrides,omitempty"`
	// Stood is, for the check after a bake time, how each resource was when it was
	// Ready.
	Stood []Stood `json:"stood,omitempty"`
}

// Stood is how an object was at the moment when it was found Ready.
type Stood struct {
	UID        string `json:"uid"`
	Generation int64  `json:"generation,omitempty"`
	// Transition identifies when the condition that says Ready last changed; empty
	// where there is no such condition.
	Transition string `json:"transition,omitempty"`
	// Content identifies what the object holds but for its status and what the cluster
	// keeps of it, where it has no generation.
	Content string `json:"content,omitempty"`
}

// PhaseKind is what a phase is for.
type PhaseKind string

// The kinds of phases.
const (
	// PhaseWave does the request's operation on the targets of a wave.
	PhaseWave PhaseKind = "wave"
	// PhaseCheck looks at the targets of a wave after its bake time.
	PhaseCheck PhaseKind = "check"
	// PhaseRollback brings back what was there on targets of a wave.
	PhaseRollback PhaseKind = "rollback"
)

// Phase is one step of an execution over many targets, as each of them knows it.
type Phase struct {
	// Number counts the phases of the execution, from 1.
	Number int       `json:"number"`
	Kind   PhaseKind `json:"kind"`
	// Wave is the number of the wave, from 1, and Name its name.
	Wave int    `json:"wave"`
	Name string `json:"name"`
	// Operation is what is done on each target.
	Operation Operation `json:"operation"`
	// MaxFailures is how many targets of this phase may fail before no other starts.
	MaxFailures int `json:"maxFailures"`
}

// Action is what an execution does next.
type Action string

// The actions.
const (
	// ActionWork works on the targets of a phase.
	ActionWork Action = "work"
	// ActionWait waits until a time.
	ActionWait Action = "wait"
	// ActionApprove asks for an approval, and waits for it.
	ActionApprove Action = "approve"
	// ActionReport ends the execution with its report.
	ActionReport Action = "report"
)

// Next is what an execution does next: first by plan, then by review.
type Next struct {
	Action Action `json:"action"`
	// Phase is the phase that the action belongs to: the one to work on, wait for, or
	// have approved.
	Phase *Phase `json:"phase,omitempty"`
	// ItemsKey, ResultsPrefix and MaxConcurrency are those of the Map, with ActionWork;
	// Total is the number of the phase's targets.
	ItemsKey       string `json:"itemsKey,omitempty"`
	ResultsPrefix  string `json:"resultsPrefix,omitempty"`
	MaxConcurrency int    `json:"maxConcurrency,omitempty"`
	Total          int    `json:"total,omitempty"`
	// Until is until when to wait, with ActionWait.
	Until *time.Time `json:"until,omitempty"`
	// TimeoutSeconds is how long to wait for the approval, with ActionApprove.
	TimeoutSeconds int `json:"timeoutSeconds,omitempty"`
	// Approved says that the phase's wave has been approved, and must not be asked for
	// again.
	Approved bool `json:"approved,omitempty"`
	// Reason says why, in words for people.
	Reason string `json:"reason"`
	// Ended is the phase that has just ended, if one has.
	Ended *EndedPhase `json:"ended,omitempty"`
	// Counts is how many targets have ended in each outcome so far, before any rollback.
	// It is never null.
	Counts map[Outcome]int `json:"counts"`
}

// EndedPhase is how a phase ended. review writes it into the run bucket, at
// [runs.EndedPhase].
type EndedPhase struct {
	Phase
	// Total is the number of its targets, and Counts how many ended in each outcome.
	Total  int             `json:"total"`
	Counts map[Outcome]int `json:"counts"`
	// Failed is how many count against a failure budget.
	Failed int `json:"failed"`
	// ResultsPrefix is where the Map's results lie.
	ResultsPrefix string `json:"resultsPrefix"`
	// At is when review found that it had ended.
	At time.Time `json:"at"`
	// Broke is the error that ended the Map, if any.
	Broke *StateError `json:"broke,omitempty"`
}

// ReviewInput is what review is called with, after each action.
type ReviewInput struct {
	Execution string `json:"execution"`
	Name      string `json:"name"`
	// Last is what has been done.
	Last Next `json:"last"`
	// Approval is the answer to a request for approval, and null after anything else.
	Approval *Approval `json:"approval"`
	// Error is the error that ended the Map, or null.
	Error *StateError `json:"error"`
}

// LogAttrs returns what every log line about the input carries.
func (in ReviewInput) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", in.Execution)}
}

// LogAttrs returns what every log line about the input carries.
func (in DiscoverInput) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", in.Run.Execution), slog.String("account", in.Account.Account)}
}

// Approval is the answer to a request for approval.
type Approval struct {
	// Approved is true only where somebody said yes.
	Approved bool `json:"approved"`
	// Message says who said so, or why nobody did.
	Message string `json:"message,omitempty"`
}

// FirstExecution is the execution that a repeat of its idempotency key ends like.
type FirstExecution struct {
	// Execution is its ARN, and Status its status in Step Functions' words.
	Execution string `json:"execution"`
	Status    string `json:"status"`
	// Output is its output, a JSON text, where it has succeeded; Error and Cause are
	// those that it failed with.
	Output string `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
	Cause  string `json:"cause,omitempty"`
}

// Item is the input of a target's child execution.
type Item struct {
	Run   Run   `json:"run"`
	Phase Phase `json:"phase"`
	TargetItem
}

// LogAttrs returns what every log line of a step on a target carries.
func (i Item) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", i.Run.Execution), slog.Any("target", i.Target)}
}

// Cluster is how to reach a cluster. It holds nothing secret.
type Cluster struct {
	// Endpoint is the URL of the Kubernetes API server.
	Endpoint string `json:"endpoint"`
	// CA is the cluster's certificate authority, PEM in base64, as EKS gives it.
	CA string `json:"ca"`
	// Version is the Kubernetes version, such as "1.33".
	Version string `json:"version"`
	// Role is the ARN of the access role.
	Role string `json:"role"`
}

// Mapping is where the cluster serves the resource's kind.
type Mapping struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	// Plural is the resource's name in URLs.
	Plural string `json:"plural"`
	// Namespaced tells whether objects of the kind live in a namespace.
	Namespaced bool `json:"namespaced"`
	// Status tells whether the kind has a status subresource.
	Status bool `json:"status"`
}

// ResolveOutput says how to reach the cluster, and that we may act there.
type ResolveOutput struct {
	Cluster Cluster `json:"cluster"`
	// Mappings are where the cluster serves the kinds of the resources, in their order;
	// null for one that it does not serve yet, because another of the resources may
	// bring it.
	Mappings []*Mapping `json:"mappings"`
}

// ApplyInput is what apply is called with, for one of the target's resources after the
// other.
type ApplyInput struct {
	Item
	ResolveOutput
	// Step counts the resources that were done before, from 0. Some operations go
	// through them backwards: see package operation.
	Step int `json:"step"`
	// Result is what became of the resources before, and null before the first.
	Result *Result `json:"result"`
}

// Change is what became of the target's object.
type Change string

// The changes: the first four in kubectl's words.
const (
	// Created: the object was not there before.
	Created Change = "created"
	// Configured: the object was changed.
	Configured Change = "configured"
	// Unchanged: the object had this form already.
	Unchanged Change = "unchanged"
	// Deleted: the object was deleted.
	Deleted Change = "deleted"
	// ChangeNone: nothing was sent that could have changed it.
	ChangeNone Change = "none"
	// ChangeUnknown: the function that was to change it ended before it noted
	// whether it had, or its execution was stopped and it may still be at work.
	ChangeUnknown Change = "unknown"
)

// Changes returns every change.
func Changes() []Change {
	return []Change{Created, Configured, Unchanged, Deleted, ChangeNone, ChangeUnknown}
}

// FieldChanges are the paths of fields, such as ".spec.partitions", that an apply
// added, changed and removed, without those that the cluster itself writes. At
// most [MaxFieldPaths] are listed in all, the removed first. A list whose items have no
// keys counts as one field.
type FieldChanges struct {
	// Added are fields that were not there before.
	Added []string `json:"added,omitempty"`
	// Changed are fields that have another value.
	Changed []string `json:"changed,omitempty"`
	// Removed are fields that are gone.
	Removed []string `json:"removed,omitempty"`
	// Omitted is how many more there are.
	Omitted int `json:"omitted,omitempty"`
}

// MaxFieldPaths bounds the paths in one target's [FieldChanges].
const MaxFieldPaths = 20

// Applied is the object as the cluster answered to the apply.
type Applied struct {
	Change          Change `json:"change"`
	UID             string `json:"uid"`
	ResourceVersion string `json:"resourceVersion"`
	// Generation is the object's generation after the apply, and GenerationBefore
	// the one before it; 0 where there was no object, or the kind has none.
	Generation       int64         `json:"generation"`
	GenerationBefore int64         `json:"generationBefore"`
	Fields           *FieldChanges `json:"fields,omitempty"`
	// OwnedHash identifies the fields that our field manager owned after the apply,
	// and StatusHash the status at that moment.
	OwnedHash  string `json:"ownedHash"`
	StatusHash string `json:"statusHash"`
}

// Seen is what the last look at the object saw; the next look goes on from there.
type Seen struct {
	// ResourceVersion is the version from which a watch goes on.
	ResourceVersion string `json:"resourceVersion"`
	// State is Ready, Progressing or Failed, and Message says why.
	State   string `json:"state"`
	Message string `json:"message"`
	// Since is since when the object has been in that state without a break.
	Since time.Time `json:"since"`
	// Proof is what proves a Ready; empty where only time can.
	Proof Proof `json:"proof,omitempty"`
	// Leftover says that a Failed may be left over from before the apply.
	Leftover bool `json:"leftover,omitempty"`
	// Stood is how an object that is Ready stood.
	Stood *Stood `json:"stood,omitempty"`
	// Overwritten says who has taken which of the applied fields; empty where all
	// still hold what was applied.
	Overwritten string `json:"overwritten,omitempty"`
}

// ApplyOutput is what apply did.
type ApplyOutput struct {
	// Mapping is where the cluster serves the kind of this resource.
	Mapping Mapping `json:"mapping"`
	Applied Applied `json:"applied"`
	Seen    Seen    `json:"seen"`
	// Deadline is when the wait for Ready ends.
	Deadline time.Time `json:"deadline"`
	// Result is set when there is nothing to wait for: what became of the resources so
	// far, this one included.
	Result *Result `json:"result,omitempty"`
	// More says that there is another resource after this one.
	More bool `json:"more"`
}

// PollInput is what poll is called with.
type PollInput struct {
	Item
	Cluster Cluster `json:"cluster"`
	Mapping Mapping `json:"mapping"`
	// Step and Result are those that apply was called with.
	Step     int       `json:"step"`
	Result   *Result   `json:"result"`
	Applied  Applied   `json:"applied"`
	Seen     Seen      `json:"seen"`
	Deadline time.Time `json:"deadline"`
	// Window counts the windows before this one, from 0.
	Window int `json:"window"`
}

// PollOutput is what one window saw.
type PollOutput struct {
	// Status is Ready or Progressing: everything else is an error.
	Status string `json:"status"`
	Seen   Seen   `json:"seen"`
	// Window is the number of the next window.
	Window int `json:"window"`
	// PauseSeconds is how long to wait before the next window.
	PauseSeconds int `json:"pauseSeconds"`
	// Result is set when the resource is Ready: what became of the resources so far,
	// this one included.
	Result *Result `json:"result,omitempty"`
	// More says that there is another resource after this one.
	More bool `json:"more"`
}

// ReportInput is what report is called with: by the workflow, or by a person for
// an execution that was stopped before it could report. Of an execution that still
// runs, a person learns what is known so far.
type ReportInput struct {
	// Execution is the ARN of the execution.
	Execution string `json:"execution"`
	// RolloutError is the error that ended the rollout, or null.
	RolloutError *StateError `json:"rolloutError"`
	// Last is what review decided last, and null where a person asks.
	Last *Next `json:"last"`
}

// StateError is the error output of a state.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
type StateError struct {
	// Error is the error's name.
	Error string `json:"Error"`
	// Cause describes it, often as JSON in a string.
	Cause string `json:"Cause"`
}

// NothingStarted says that a Map ended with the error before it had any item to start.
// Any other may leave behind what was worked on.
func (e *StateError) NothingStarted() bool { return e != nil && e.Error == "States.ItemReaderFailed" }

// LogAttrs returns what every log line about the input carries.
func (in PlanInput) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", in.Execution)}
}

// LogAttrs returns what every log line about the input carries.
func (in ReportInput) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", in.Execution)}
}
