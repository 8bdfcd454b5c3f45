package contract

import "encoding/json"

// Request is the input of an execution.
type Request struct {
	// Operation says what to do with the resource on every target. The default
	// is "apply", a server-side apply.
	Operation Operation `json:"operation,omitempty"`

	// Resource is the Kubernetes object to apply: apiVersion, kind,
	// metadata.name, metadata.namespace for a namespaced kind, and the fields to
	// own; at most [MaxResourceBytes] bytes of JSON. Required.
	//
	// What belongs to one cluster is left out (the status, managedFields, uid,
	// resourceVersion, kubectl's last-applied annotation), so an object can be given
	// as it was read from a cluster. Refused are ownerReferences and finalizers,
	// because a cluster without the owner deletes the object; a Secret, because an
	// execution's input can be read in its history; numbers of 2^53 or more, because
	// Step Functions may round them; and kinds and namespaces that the deployment's
	// configuration (allow) does not list.
	Resource json.RawMessage `json:"resource,omitempty"`

	// Targets lists the clusters, each once: at least one and at most
	// [MaxTargets]. Required.
	Targets []TargetSelector `json:"targets,omitempty"`

	// Overrides change the resource for some of the targets. Not supported yet.
	Overrides []Override `json:"overrides,omitempty"`

	// Apply tunes the server-side apply.
	Apply *ApplyOptions `json:"apply,omitempty"`

	// Ready says what "done" means and how long to wait for it.
	Ready *ReadyOptions `json:"ready,omitempty"`

	// Rollout says how fast to go and how much may go wrong.
	Rollout *RolloutOptions `json:"rollout,omitempty"`

	// Retry runs the request of an earlier execution again, on the targets that
	// did not succeed. Resource, targets and operation are that execution's, and
	// may not be given beside it; other fields that are given replace its own, as an
	// RFC 7386 merge patch does.
	Retry *RetryOptions `json:"retry,omitempty"`

	// IdempotencyKey makes a repeated start a no-op: of all executions with the
	// same key, the first does the work, and the others wait for it and end as it
	// did, with its answer or its failure. The first keeps the key even if it fails.
	// The same key with another request is refused. 1 to [MaxIdempotencyKey] bytes;
	// a key is remembered as long as the run bucket keeps its objects.
	IdempotencyKey *string `json:"idempotencyKey,omitempty"`

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
)

// Operation names what to do with the resource: see package operation for the
// list.
type Operation string

// TargetSelector names one cluster, or selects several.
type TargetSelector struct {
	// Account is the 12-digit id of the AWS account that owns the cluster, as a
	// string.
	Account string `json:"account,omitempty"`
	// Region is the cluster's AWS Region, such as "eu-west-1", in the partition of
	// the workflow.
	Region string `json:"region,omitempty"`
	// Cluster is the EKS cluster's name.
	Cluster string `json:"cluster,omitempty"`

	// Accounts selects clusters by discovery. Not supported yet.
	Accounts []string `json:"accounts,omitempty"`
	// Regions selects clusters by discovery. Not supported yet.
	Regions []string `json:"regions,omitempty"`
	// ClusterTags selects clusters by discovery. Not supported yet.
	ClusterTags map[string]string `json:"clusterTags,omitempty"`
}

// Override changes the resource for the targets it matches.
type Override struct {
	// Match names the targets by account, region, cluster.
	Match TargetSelector `json:"match"`
	// Patch is an RFC 7386 merge patch for the resource.
	Patch json.RawMessage `json:"patch"`
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
	// it; nothing is waited for, and a target's outcome is Applied or Unchanged
	// as it would be.
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
	// the apply: 1 to 86,400 seconds, by default 900.
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

// RolloutOptions says how fast to go and how much may go wrong.
type RolloutOptions struct {
	// MaxConcurrency is how many targets are worked on at once, 1 to 1,000, by
	// default 50. Each one that waits keeps one Lambda invocation busy.
	MaxConcurrency *int `json:"maxConcurrency,omitempty"`
	// MaxFailures is how many targets may fail before no new target is
	// started: a count such as 3, or a share of all targets such as "10%",
	// rounded down. The default is 0. Targets that are under way at that moment, at
	// most maxConcurrency, go on to their own end.
	MaxFailures json.RawMessage `json:"maxFailures,omitempty"`
	// Exclusive false lets this execution work on a resource that another one works
	// on at the same time. By default the second fails with
	// CrossApply.ResourceBusy, which names the first, whether or not the first is
	// exclusive. A dry run is neither refused nor in the way.
	Exclusive *bool `json:"exclusive,omitempty"`
	// Waves roll out in groups. Not supported yet.
	Waves json.RawMessage `json:"waves,omitempty"`
	// BakeSeconds is the time between them. Not supported yet.
	BakeSeconds int `json:"bakeSeconds,omitempty"`
}

// RetryOptions names the execution to run again.
type RetryOptions struct {
	// Execution is the ARN of the earlier execution.
	Execution string `json:"execution"`
}
