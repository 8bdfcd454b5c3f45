// Package readiness decides from an object alone whether its operator has
// brought it to the state that was asked for.
//
// It judges by the conditions convention of the Kubernetes API
// (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties)
// and is deliberately stricter than the generic rule of kstatus: an object
// without any status is not Ready, because its operator has not spoken yet.
//
// # Limits
//
// Whether a condition speaks of the generation that was applied can only be
// told where the condition, or else the status, carries observedGeneration. An
// operator that writes neither can leave a stale Ready=True behind that nobody
// can tell from a fresh one; [Verdict.Unproven] is set then. Nor does a
// condition like Failed=True without it end the wait, but on a new object: the
// target then runs out of its time instead, and the message says what was seen.
package readiness
