// Package operation is the table of operations: what can be done with a resource
// on every target of an execution. An operation is a value, in a file of its own,
// that says which verbs RBAC must allow for it, does its action on a cluster,
// judges when the wait behind the action is over, and names the outcome.
//
// What needs to know the operations derives it from here: the check of a request
// ([Names]), resolve's access reviews ([Operation.VerbsOf]), the generated RBAC
// rules ([Verbs]), the apply and poll functions, and the request reference.
//
// Two operations are no request's: verify is the check after a bake time, and rollback
// has a field of its own in the request, and is what a rollout may end with.
//
// The package imports the types of the Kubernetes API but no client: the plan
// function and the CDK app need the table, and would carry a client's megabytes
// for nothing. An action takes its client as [Resource].
package operation
