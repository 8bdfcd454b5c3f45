package contract

import (
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
	// Operation is what to do with the resource.
	Operation Operation `json:"operation"`
	// Resource names the object; its body stays in the run bucket.
	Resource ResourceRef `json:"resource"`
	// Apply and Ready are the request's options with the defaults filled in.
	Apply ApplySettings `json:"apply"`
	Ready ReadySettings `json:"ready"`
	// MaxFailures is how many targets may fail, as a count, before no other starts.
	MaxFailures int `json:"maxFailures"`
}

// ResourceRef names an object without its body.
type ResourceRef struct {
	// APIVersion is its API group and version, such as "kafka.strimzi.io/v1beta2".
	APIVersion string `json:"apiVersion"`
	// Kind is its kind, such as "KafkaTopic".
	Kind string `json:"kind"`
	// Namespace is empty for a cluster-scoped kind.
	Namespace string `json:"namespace,omitempty"`
	// Name is its metadata.name.
	Name string `json:"name"`
}

// String returns "Kind namespace/name" for messages.
func (r ResourceRef) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
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
	// then says how it is judged.
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
}

// PlanOutput is what plan found.
type PlanOutput struct {
	Run Run `json:"run"`
	// First is the execution that has the request's idempotency key, where it is not
	// this one. There is nothing to do then, and the rest is empty.
	First *FirstExecution `json:"first,omitempty"`
	// TargetsKey is the key in the run bucket of a JSON array of [Target].
	TargetsKey string `json:"targetsKey"`
	// ResultsPrefix is the prefix in the run bucket for the Map's results.
	ResultsPrefix string `json:"resultsPrefix"`
	// ReportKey is the key in the run bucket of the full report.
	ReportKey string `json:"reportKey"`
	// Total is the number of targets.
	Total int `json:"total"`
	// MaxConcurrency is how many targets are worked on at once.
	MaxConcurrency int `json:"maxConcurrency"`
	// Notes say what the request's author should know: see [Answer].
	Notes []string `json:"notes,omitempty"`
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
	Run    Run    `json:"run"`
	Target Target `json:"target"`
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
	Mapping Mapping `json:"mapping"`
}

// ApplyInput is what apply is called with.
type ApplyInput struct {
	Item
	ResolveOutput
}

// Change is what became of the target's object.
type Change string

// The changes: the first three in kubectl's words.
const (
	// Created: the object was not there before.
	Created Change = "created"
	// Configured: the object was changed.
	Configured Change = "configured"
	// Unchanged: the object had this form already.
	Unchanged Change = "unchanged"
	// ChangeNone: nothing was sent that could have changed it.
	ChangeNone Change = "none"
	// ChangeUnknown: the function that was to change it ended before it noted
	// whether it had, or its execution was stopped and it may still be at work.
	ChangeUnknown Change = "unknown"
)

// Changes returns every change.
func Changes() []Change {
	return []Change{Created, Configured, Unchanged, ChangeNone, ChangeUnknown}
}

// FieldChanges are the paths of fields, such as ".spec.partitions", that an apply
// added, changed and removed, without those that the cluster itself writes. At
// most [MaxFieldPaths] are listed in all, the removed first. A list whose items have no keys counts as one field.
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
	// Overwritten says who has taken which of the applied fields; empty where all
	// still hold what was applied.
	Overwritten string `json:"overwritten,omitempty"`
}

// ApplyOutput is what apply did.
type ApplyOutput struct {
	Applied Applied `json:"applied"`
	Seen    Seen    `json:"seen"`
	// Deadline is when the wait for Ready ends.
	Deadline time.Time `json:"deadline"`
	// Result is set when the target is done and there is nothing to wait for.
	Result *Result `json:"result,omitempty"`
}

// PollInput is what poll is called with.
type PollInput struct {
	Item
	ResolveOutput
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
	// Result is set when the target is done.
	Result *Result `json:"result,omitempty"`
}

// ReportInput is what report is called with: by the workflow, or by a person for
// an execution that was stopped before it could report. Of an execution that still
// runs, a person learns what is known so far.
type ReportInput struct {
	// Execution is the ARN of the execution.
	Execution string `json:"execution"`
	// RolloutError is the error that ended the Map, or null.
	RolloutError *StateError `json:"rolloutError"`
}

// StateError is the error output of a state.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
type StateError struct {
	// Error is the error's name.
	Error string `json:"Error"`
	// Cause describes it, often as JSON in a string.
	Cause string `json:"Cause"`
}

// LogAttrs returns what every log line about the input carries.
func (in PlanInput) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", in.Execution)}
}

// LogAttrs returns what every log line about the input carries.
func (in ReportInput) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("execution", in.Execution)}
}
