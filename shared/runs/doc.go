// Package runs is the layout of the run bucket, and how its JSON is read and
// written. Under one prefix per execution lie
//
//	runs/<execution name>/request.json    the request (plan -> a retry's plan)
//	runs/<execution name>/resource.json   the resource to apply (plan -> apply)
//	runs/<execution name>/targets.json    the targets (plan -> the Map's ItemReader)
//	runs/<execution name>/plan.json       what plan found (plan -> report)
//	runs/<execution name>/results/...     the Map's results (ResultWriter -> report)
//
// so that one and ten thousand targets take the same way and no state carries
// more than a few KiB. Under claims/ lies an object per idempotency key, which
// names the execution that has it, and under locks/ one per resource, which names
// the executions that work on it. Every target's result is in
//
//	reports/<day of the start>/<execution name>.json
//
// which report writes for people, and for a retry.
package runs
