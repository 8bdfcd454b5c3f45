// Package metrics names the workflow's own CloudWatch metrics, for the function
// that reports them and the dashboard that shows them.
package metrics

// Namespace is where CloudWatch files the metrics.
const Namespace = "CrossApply"

// The metrics.
const (
	// Targets counts targets that ended.
	Targets = "Targets"
	// TargetSeconds is how long a target took, in seconds. Targets that were
	// never started have none.
	TargetSeconds = "TargetSeconds"
)

// The dimensions, in this order, of every metric.
const (
	// StateMachine is the state machine's name: there may be more than one in an
	// account and Region.
	StateMachine = "StateMachine"
	// Outcome is the outcome of the targets: one of contract.Outcomes.
	Outcome = "Outcome"
)
