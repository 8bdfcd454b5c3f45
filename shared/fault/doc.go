// Package fault is the closed list of errors that crossapply reports to
// machines: the names that appear as the "Error" of an execution, in Retry and
// Catch of the definition, and in the answer.
//
// Code anywhere below a handler returns ordinary wrapped errors. Where the
// cause becomes known (an AWS error code, a Kubernetes status reason) the error
// is given a [Name] by [New] or [Wrap]; [NameOf] finds it again through any
// number of wraps. Only package edge, at a handler's outermost line, turns it
// into what the Lambda runtime reports.
//
// catalogue.go declares each name together with when it is returned, what a person
// does about it, and whether a retry helps. docs/errors.md is written from it.
package fault
