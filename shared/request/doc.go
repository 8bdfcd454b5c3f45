// Package request reads and checks the input of an execution, without calling
// anything. The plan function does so when an execution starts, and the CDK app
// when it synthesises a schedule, so a schedule's input is refused in the same
// words and with the same paths before it is deployed.
//
// [Parse] is the one way in, for a request that stands for itself; [RetryOf] and
// [RollbackOf] read one that names an earlier execution. What a request names in the
// run bucket is given to [Parsed.ReadResources] and [Parsed.ReadTargets]. There is a
// file per part of a request: the operation and its options, the resources, the
// targets, the overrides, the options apply, ready and rollout, and the labels.
// [contract.Request] documents the fields.
package request
