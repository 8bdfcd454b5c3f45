// Package request reads and checks the input of an execution, without calling
// anything. The plan function does so when an execution starts, and the CDK app
// when it synthesises a schedule, so a schedule's input is refused in the same
// words and with the same paths before it is deployed.
//
// [Parse] is the one way in. There is a file per part of a request: the
// operation, the resource, the targets, and the options apply, ready and rollout.
// [contract.Request] documents the fields.
package request
