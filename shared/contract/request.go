package contract

import (
	"encoding/json"
	"fmt"

	"github.com/crossapply/crossapply/shared/fault"
)

// Request is the input of an execution.
type Request struct {
	// Operation says what to do with the resource on every target. The default
	// is "apply", a server-side apply.
	Operation Operation `json:"operation,omitempty"`

	// Resource is the Kubernetes object to act on: apiVersion, kind,
	// metadata.name, metadata.namespace for a namespaced kind, and the fields to
	// own; at most [MaxResourceBytes] bytes of JSON. One of resource, resources and
	// resourceFrom is required, but for the operation check.
	//
	// The operations get, delete and check may name the object instead: version, kind or
	// plural, name, and where it has them group and namespace. What has neither
	// apiVersion nor metadata is such a name.
	//
	// What belongs to one cluster is left out (the status, managedFields, uid,
	// resourceVersion, kubectl's last-applied annotation), so an object can be given
	// as it was read from a cluster; only the operation replace uses the
	// resourceVersion. Refused are ownerReferences and finalizers,
	// because a cluster without the owner deletes the object; a Secret, because an
	// execution's input can be read in its history; numbers of 2^53 or more, because
	// Step Functions may round them; and kinds and namespaces that the deployment's
	// configuration (allow) does not list.
	Resource json.RawMessage `json:"resource,omitempty"`
	// Resources are several objects, at most [MaxResources], each as resource is.
	// They are worked on in this order on every target, each waited for before the
	// next; delete goes through them backwards. Their namespace can be one of them.
	Resources []json.RawMessage `json:"resources,omitempty"`
	// ResourceFrom names an object of the run bucket that holds the resources, as
	// JSON or YAML of one or several documents, in at most 1 MiB. Empty documents are
	// passed over, and the items of a List are resources.
	ResourceFrom *InputObject `json:"resourceFrom,omitempty"`

	// Targets names clusters, and selects clusters: what any of them matches is a
	// target, once. At most [MaxTargets] in all. Targets or targetsFrom is required.
	Targets []TargetSelector `json:"targets,omitempty"`
	// TargetsFrom names an object of the run bucket that holds a JSON array such as
	// targets, in at most 4 MiB: more of them than an execution's input can hold.
	TargetsFrom *InputObject `json:"targetsFrom,omitempty"`
	// Exclude takes out of the targets what any of these matches.
	Exclude []Match `json:"exclude,omitempty"`

	// Overrides change the resource for some of the targets, in this order.
	Overrides []Override `json:"overrides,omitempty"`

	// Apply tunes the operations apply, create and replace.
	Apply *ApplyOptions `json:"apply,omitempty"`
	// Get tunes the operation get.
	Get *GetOptions `json:"get,omitempty"`
	// Delete tunes the operation delete.
	Delete *DeleteOptions `json:"delete,omitempty"`
	// Check tunes the operation check.
	Check *CheckOptions `json:"check,omitempty"`

	// Ready says what "done" means and how long to wait for it.
	Ready *ReadyOptions `json:"ready,omitempty"`

	// Rollout says in which order and how fast to go, and how much may go wrong.
	Rollout *RolloutOptions `json:"rollout,omitempty"`

	// Retry runs the request of an earlier execution again, on the targets that
	// did not succeed. Resource, targets and operation are that execution's, and
	// may not be given beside it; other fields that are given replace its own, as an
	// RFC 7386 merge patch does. Waves take their targets from those that are left, and
	// what no wave takes goes last.
	Retry *EarlierExecution `json:"retry,omitempty"`
	// Rollback brings back what an earlier execution changed, from its journal, on
	// every target that it touched, the last wave first. Beside it only rollout,
	// labels, plan and idempotencyKey may be given.
	Rollback *EarlierExecution `json:"rollback,omitempty"`

	// IdempotencyKey makes a repeated start a no-op: of all executions with the
	// same key, the first does the work, and the others wait for it and end as it
	// did, with its answer or its failure. The first keeps the key even if it fails.
	// The same key with another request is refused. 1 to [MaxIdempotencyKey] bytes;
	// a key is remembered as long as the run bucket keeps its objects.
	IdempotencyKey *string `json:"idempotencyKey,omitempty"`
	// Labels are free words about the request, such as a commit or a ticket, that the
	// answer and the events repeat: at most [MaxLabels], keys of up to 63 and values
	// of up to 256 bytes.
	Labels map[string]string `json:"labels,omitempty"`
	// Plan true answers which targets would be worked on, in which waves, and by which
	// rule their resource would be judged. Nothing is touched, and the idempotencyKey
	// stays free.
	Plan bool `json:"plan,omitempty"`

	// StartedBy is the ARN of the execution that started this one. Under this
	// name a parent workflow passes it so that the console links the two; it has
	// no effect here.
	// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-nested-workflows.html
	StartedBy string `json:"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID,omitempty"`
}

// Limits of a request.
const (
	// MaxTargets is the largest number of targets of one execution.
	MaxTargets = 10_000
	// MaxResources is the largest number of resources of one request.
	MaxResources = 20
	// MaxResourceBytes is the largest size of a resource, in bytes of JSON. The
	// whole request is bound by the 262,144 bytes that Step Functions takes as
	// an execution's input; this leaves room for the targets.
	// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
	MaxResourceBytes = 200 << 10
	// MaxIdempotencyKey is the largest length of an idempotency key, in bytes.
	MaxIdempotencyKey = 512
	// MaxAdopt is the largest number of field managers in apply.adopt.
	MaxAdopt = 20
	// MaxExpressionBytes is the largest length of one of ready.expressions, in
	// bytes: they travel with every target.
	MaxExpressionBytes = 2 << 10
	// MaxSelectors is the largest number of selectors, of excludes and of overrides,
	// and MaxPatterns that of the values in one list of a match.
	MaxSelectors = 200
	MaxPatterns  = 1_000
	// MaxWaves is the largest number of waves.
	MaxWaves = 50
	// MaxLabels is the largest number of labels.
	MaxLabels = 20
	// MaxGetFields is the largest number of fields in get.fields.
	MaxGetFields = 20
)

// Operation names what to do with the resource: see package operation for the
// list.
type Operation string

// InputObject names an object in the run bucket.
type InputObject struct {
	// Key is the object's key, which begins with "inputs/". Required.
	Key string `json:"key"`
	// SHA256 is the digest of its bytes, in hexadecimal: an object that has another is
	// refused. The answer says which it had.
	SHA256 string `json:"sha256,omitempty"`
}

// TargetSelector names one cluster, by account, region and cluster; or selects
// clusters by discovery, by any of the other fields.
type TargetSelector struct {
	// Account is the 12-digit id of the AWS account that owns the cluster, as a
	// string.
	Account string `json:"account,omitempty"`
	// Region is the cluster's AWS Region, such as "eu-west-1", in the partition of
	// the workflow.
	Region string `json:"region,omitempty"`
	// Cluster is the EKS cluster's name.
	Cluster string `json:"cluster,omitempty"`

	Match
	// Optional lets the selector match nothing. By default that is an error.
	Optional bool `json:"optional,omitempty"`
}

// Match says which clusters are meant: those that every field that is given fits.
// A field that is not given fits all.
type Match struct {
	// Accounts are 12-digit ids of AWS accounts, or "*" for every account of the
	// configuration. A selector of targets needs accounts or organizationalUnits.
	Accounts []string `json:"accounts,omitempty"`
	// OrganizationalUnits are ids of organizational units or of the root, whose
	// accounts are meant, and those of the units below. The configuration must allow it
	// (organizations). Given with accounts, the accounts of both are meant.
	OrganizationalUnits []string `json:"organizationalUnits,omitempty"`
	// Regions are AWS Regions. A selector of targets that gives none looks in those of
	// the configuration.
	Regions []string `json:"regions,omitempty"`
	// Clusters are patterns of cluster names, in which * stands for any characters and
	// ? for any one.
	Clusters []string `json:"clusters,omitempty"`
	// Tags are tags of the cluster in EKS: a value, a list of values of which it has
	// one, or null for any value.
	Tags map[string]TagValues `json:"tags,omitempty"`
}

// TagValues are the values that a tag may have; none stands for any. In JSON it is
// a string, a list of strings, or null.
type TagValues []string

// UnmarshalJSON reads a string, a list of strings, or null.
func (t *TagValues) UnmarshalJSON(text []byte) error {
	var value string
	if json.Unmarshal(text, &value) == nil && string(text) != "null" {
		*t = TagValues{value}
		return nil
	}
	var values []string
	if json.Unmarshal(text, &values) != nil {
		return fmt.Errorf("a value of tags is %s: it must be a string, a list of strings, or null", fault.Shorten(string(text), 80))
	}
	*t = values
	return nil
}

// Override changes the resource for the targets that it matches. Each override must
// match something, and may not change what names the object.
type Override struct {
	// Match says which targets.
	Match Match `json:"match"`
	// Waves narrows it to the waves of these names.
	Waves []string `json:"waves,omitempty"`
	// Resource says which of several resources is changed, by its kind and name.
	// Required where there are several.
	Resource *ResourceName `json:"resource,omitempty"`
	// Patch is an RFC 7386 merge patch for the resource. Required.
	Patch json.RawMessage `json:"patch"`
}

// ResourceName names one of a request's resources.
type ResourceName struct {
	// Kind is its kind.
	Kind string `json:"kind"`
	// Name is its metadata.name.
	Name string `json:"name"`
}

// ApplyOptions tunes the server-side apply.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/
type ApplyOptions struct {
	// FieldManager is the name under which the fields are owned, 1 to 128
	// printable characters. The default is "crossapply".
	FieldManager string `json:"fieldManager,omitempty"`
	// Force takes over fields that another manager owns. The default is to
	// report CrossApply.Conflict.
	Force bool `json:"force,omitempty"`
	// Adopt names field managers, such as "kubectl-client-side-apply", whose fields
	// may be taken over where they conflict: at most [MaxAdopt]. A conflict with any
	// other manager is reported as without it. It may not be given with apply.force.
	Adopt []string `json:"adopt,omitempty"`
	// Removals says what becomes of fields that an earlier apply of the same field
	// manager set and this resource leaves out: "allow" (the default) lets the
	// cluster remove them, as server-side apply does; "refuse" ends the target with
	// CrossApply.WouldRemove before anything is changed.
	Removals Removals `json:"removals,omitempty"`
	// DryRun asks each cluster to check and admit the resource without keeping
	// it; nothing is waited for, and a target's outcome is WouldCreate, WouldChange
	// or Unchanged. Not with the operations get, delete and check.
	DryRun bool `json:"dryRun,omitempty"`
}

// Removals says whether an apply may remove fields.
type Removals string

// The policies for fields that an apply would remove.
const (
	// RemovalsAllow: they are removed.
	RemovalsAllow Removals = "allow"
	// RemovalsRefuse: the target ends before anything is changed.
	RemovalsRefuse Removals = "refuse"
)

// ReadyOptions says what Ready means and how long to wait. What the object's
// status says is judged by the first of these that there is: ready.expressions;
// ready.condition; the health check that Argo CD's community keeps for the kind;
// crossapply's rules for the kinds of Kubernetes itself; the condition Ready.
type ReadyOptions struct {
	// Kind is the kind that condition and expressions judge, where there are several
	// resources; the others are judged by the rules of their own kinds.
	Kind string `json:"kind,omitempty"`
	// Wait false ends a target as soon as the cluster has accepted the resource,
	// with the outcome Applied or Unchanged. The default is true.
	Wait *bool `json:"wait,omitempty"`
	// Condition is the type of the status condition that must be True.
	Condition string `json:"condition,omitempty"`
	// Expressions judge the object by CEL, in the form of Flux's healthCheckExprs: its
	// top-level fields (status, spec, metadata, ...) are variables, and so is the whole
	// object, as self. They may not be given with ready.condition.
	//
	// What cannot be compiled is refused at once. A field that is not there yet is
	// waited for, so a typing mistake in its name waits until the time is over; any
	// other error of the evaluation ends the target with CrossApply.RuleFailed.
	Expressions *ReadyExpressions `json:"expressions,omitempty"`
	// TimeoutSeconds is the hard limit of the wait, per target, counted from
	// the apply: 1 to 86,400 seconds, by default 900. Where there are several
	// resources, each of them has so long.
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"`
	// FailureGraceSeconds is how long a status that says "failed" must stand before
	// it ends the target: 0 to 3,600 seconds, by default 30.
	FailureGraceSeconds *int `json:"failureGraceSeconds,omitempty"`
	// SettleSeconds is how long a Ready that nothing proves must stand before it is
	// believed: 0 to 3,600 seconds, by default 10. The answer names the proof.
	SettleSeconds *int `json:"settleSeconds,omitempty"`
	// RequireGeneration accepts only the proof "generation", where the apply made a
	// new one: an operator that never says which generation it speaks of is then
	// waited for until the time is over.
	RequireGeneration bool `json:"requireGeneration,omitempty"`
}

// ReadyExpressions are CEL expressions over the object, in the form of Flux's
// healthCheckExprs: its top-level fields (status, spec, metadata, ...) are
// variables, and so is the whole object, as self. Each yields true or false, and
// may be [MaxExpressionBytes] bytes long.
// https://fluxcd.io/flux/components/kustomize/kustomizations/#health-check-expressions
type ReadyExpressions struct {
	// Current says that the object is Ready. Required with any of the others.
	Current string `json:"current,omitempty"`
	// Failed says that it will not become Ready.
	Failed string `json:"failed,omitempty"`
	// InProgress says that it is not Ready yet, whatever the others say.
	InProgress string `json:"inProgress,omitempty"`
}

// GetOptions tunes the operation get.
type GetOptions struct {
	// Fields are the fields that the report shows, by names of one's own: each a JSONPath
	// as kubectl takes it, such as "{.status.conditions[?(@.type=='Ready')].status}".
	// By default the report holds the whole object, without its managedFields. At most
	// [MaxGetFields].
	// https://kubernetes.io/docs/reference/kubectl/jsonpath/
	Fields map[string]string `json:"fields,omitempty"`
}

// DeleteOptions tunes the operation delete.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/
type DeleteOptions struct {
	// Propagation is what becomes of the objects that the resource owns: "Background"
	// (the default), "Foreground" or "Orphan".
	Propagation Propagation `json:"propagation,omitempty"`
	// UID is the uid that the object must have: any other is left alone, and ends the
	// target with CrossApply.Conflict.
	UID string `json:"uid,omitempty"`
	// Absent says what it means that there is no such object: "succeed" (the default),
	// or "fail", with CrossApply.NotFound.
	Absent Absent `json:"absent,omitempty"`
}

// Propagation is a deletion's propagation policy, in Kubernetes' words.
type Propagation string

// Absent says what the absence of an object to delete means.
type Absent string

// What the absence of an object to delete can mean.
const (
	// AbsentSucceed: the target ends as Unchanged.
	AbsentSucceed Absent = "succeed"
	// AbsentFail: the target fails with CrossApply.NotFound.
	AbsentFail Absent = "fail"
)

// CheckOptions tunes the operation check, which finds out whether another operation
// could be done, and changes nothing.
type CheckOptions struct {
	// Operation is the one whose verbs RBAC must allow. The default is "apply", which
	// is tried as a dry run where a whole resource is given.
	Operation Operation `json:"operation,omitempty"`
}

// RolloutOptions says in which order and how fast to go, and how much may go wrong.
type RolloutOptions struct {
	// MaxConcurrency is how many targets are worked on at once, 1 to 1,000, by
	// default 50. Each one that waits keeps one Lambda invocation busy.
	MaxConcurrency *int `json:"maxConcurrency,omitempty"`
	// ConcurrencyMode "strict" works on no more targets at once than may still fail when a
	// wave starts, and one: with a budget of 0, on one after the other, so that no second
	// one can fail. The default is "soft": targets that are under way go on when the budget is spent.
	// The words are those of CloudFormation StackSets.
	ConcurrencyMode ConcurrencyMode `json:"concurrencyMode,omitempty"`
	// MaxFailures is how many targets may fail before no new target is
	// started: a count such as 3, or a share of all targets such as "10%",
	// rounded down. An account whose clusters cannot be listed counts as one. The default is 0. Targets that are under way at that moment, at
	// most maxConcurrency, go on to their own end.
	MaxFailures json.RawMessage `json:"maxFailures,omitempty"`
	// Tolerate names errors, such as CrossApply.ClusterUnreachable, that end a target as
	// Skipped: it counts against no budget. A target that was changed, and cannot be
	// brought back where onFailure is "rollback", is Failed all the same.
	Tolerate []string `json:"tolerate,omitempty"`
	// Exclusive false lets this execution work on a resource that another one works
	// on at the same time. By default the second fails with
	// CrossApply.ResourceBusy, which names the first, whether or not the first is
	// exclusive. A dry run is neither refused nor in the way, nor is what only reads.
	Exclusive *bool `json:"exclusive,omitempty"`

	// Waves are groups of targets that are worked on one after the other: at most
	// [MaxWaves]. Each takes its targets from those that no wave before it has taken.
	// By default all targets are one wave.
	Waves []Wave `json:"waves,omitempty"`
	// Unmatched says what becomes of targets that no wave takes: "refuse" (the default)
	// refuses the request and names them; "last" makes a last wave of them, which is
	// named "unmatched".
	Unmatched Unmatched `json:"unmatched,omitempty"`
	// BakeSeconds is how long to wait after each wave, 0 to 604,800 seconds, by default
	// 0. Then each of its targets is looked at once: one that is no longer Ready, whose
	// condition has changed meanwhile, or whose object was changed, has failed.
	BakeSeconds int `json:"bakeSeconds,omitempty"`
	// Approval true has somebody approve each wave before it starts.
	Approval bool `json:"approval,omitempty"`
	// ApprovalTimeoutSeconds is how long an approval is waited for, 60 to 2,592,000
	// seconds, by default 86,400. After that the answer is no.
	ApprovalTimeoutSeconds *int `json:"approvalTimeoutSeconds,omitempty"`
	// Window is when a wave may start.
	Window *Window `json:"window,omitempty"`
	// OnFailure says what to do when more targets of a wave, or of all, have failed than
	// may: "stop" (the default) starts no later wave; "continue" goes on with the next
	// wave when the wave's own budget is spent, as long as that of the whole is not;
	// "rollback" brings back what was there on every target that was touched. A rollout
	// that somebody stopped, or did not approve, goes no further with any of them.
	OnFailure OnFailure `json:"onFailure,omitempty"`
}

// ConcurrencyMode says whether the failure budget bounds the concurrency.
type ConcurrencyMode string

// The concurrency modes.
const (
	// ConcurrencySoft: targets that are under way go on when the budget is spent.
	ConcurrencySoft ConcurrencyMode = "soft"
	// ConcurrencyStrict: no more targets are under way than may still fail when a wave
	// starts, and one.
	ConcurrencyStrict ConcurrencyMode = "strict"
)

// Unmatched says what becomes of targets that no wave takes.
type Unmatched string

// What can become of targets that no wave takes.
const (
	// UnmatchedRefuse: the request is refused, and they are named.
	UnmatchedRefuse Unmatched = "refuse"
	// UnmatchedLast: they are a last wave.
	UnmatchedLast Unmatched = "last"
)

// OnFailure says what to do when too many targets have failed.
type OnFailure string

// What to do when too many targets have failed.
const (
	// OnFailureStop: no later wave is started.
	OnFailureStop OnFailure = "stop"
	// OnFailureContinue: the next wave is started, unless the budget of the whole is
	// spent.
	OnFailureContinue OnFailure = "continue"
	// OnFailureRollback: what was there is brought back on every target that was touched.
	OnFailureRollback OnFailure = "rollback"
)

// Wave is a group of targets. It takes those that match fits, or count of them in
// the order of the plan, or percent of all targets, rounded up; with none of these,
// all that are left. The last wave, unless it has a match, takes all that are left. So
// 10 targets in waves of count 1, percent 10, percent 25 and a last one are 1, 1, 3
// and 5; and 3 targets are 1, 1, 1 and none.
type Wave struct {
	// Name names the wave in the answer, by default by its number.
	Name string `json:"name,omitempty"`
	// Match says which targets are in it. At most one of match, count and percent may be
	// given.
	Match *Match `json:"match,omitempty"`
	// Count is how many targets are in it.
	Count *int `json:"count,omitempty"`
	// Percent is how many of all targets are in it, from 1 to 100.
	Percent *int `json:"percent,omitempty"`
	// MaxFailures is how many targets of the wave may fail: a count, or a share of the
	// wave such as "5%", rounded down. Where there are several waves, the default of the
	// first is 0. The others have none of their own by default: only
	// rollout.maxFailures bounds them.
	MaxFailures json.RawMessage `json:"maxFailures,omitempty"`
	// MaxConcurrency is the wave's own in place of rollout's, as are the following.
	MaxConcurrency *int `json:"maxConcurrency,omitempty"`
	// BakeSeconds is how long to wait after the wave.
	BakeSeconds *int `json:"bakeSeconds,omitempty"`
	// Approval says whether somebody has to approve the wave.
	Approval *bool `json:"approval,omitempty"`
	// Window is when the wave may start.
	Window *Window `json:"window,omitempty"`
}

// Window is when a wave may start. One that has started goes on to its end. With no
// field it is always open. Where clocks are changed, a time that does not exist is the
// moment at which they are set forward, and one that exists twice is the first.
type Window struct {
	// Days are days of the week on which it opens: Mon, Tue, Wed, Thu, Fri, Sat, Sun.
	// By default all.
	Days []string `json:"days,omitempty"`
	// From is the time of day, such as "22:00", at which it opens. By default it is open
	// all day.
	From string `json:"from,omitempty"`
	// To is the time of day at which it closes: on the next day where it is not later
	// than from.
	To string `json:"to,omitempty"`
	// TimeZone is the IANA time zone that days and times are in, such as
	// "Europe/Berlin". The default is "UTC".
	TimeZone string `json:"timeZone,omitempty"`
}

// EarlierExecution names an execution that has ended.
type EarlierExecution struct {
	// Execution is its ARN.
	Execution string `json:"execution"`
}
