// Package runs is the layout of the run bucket, and how its JSON is read and
// written. Under one prefix per execution lie
//
//	runs/<execution name>/request.json    the request (plan -> a retry's plan)
//	runs/<execution name>/resources.json  the resources and overrides (plan -> apply)
//	runs/<execution name>/plan.json       what plan found (plan -> review, report)
//	runs/<execution name>/layout.json     the targets in their waves (plan -> review, report)
//	runs/<execution name>/items/...       the targets of a phase (plan, review -> the Map's ItemReader)
//	runs/<execution name>/results/...     the Map's results (ResultWriter -> review, report)
//	runs/<execution name>/phases/...      how each phase ended (review -> review, report)
//	runs/<execution name>/journal/...     what was there before each change (apply -> a rollback, report)
//	runs/<execution name>/marks/...       what a target that starts looks for (the definition, people -> resolve)
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
