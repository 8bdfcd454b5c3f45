// Package states serves the AWS Step Functions API on one machine.
//
// [Service] speaks the protocol awsjson1.0, as any SDK and the AWS CLI speak it.
// It keeps state machines and executions in memory and runs them with package asl.
// The work of Task states, and the reading and writing of distributed Maps, goes
// through the real SDK clients as the state machine's role, so that mistakes in its
// policies show as they do on AWS.
//
//   - service.go: the protocol; shape.go: the SDK's types as JSON
//   - machines.go, executions.go, mapruns.go, callbacks.go: the operations
//   - integrations.go: the work of states, as a role; lambda.go, events.go, awssdk.go:
//     that of each service; metadata.go: what their results tell of the answer
//
// An operation that is not here is answered with UnknownOperationException.
// [Service.Wait] is for tests, which would otherwise have to poll.
// The API is described at https://docs.aws.amazon.com/step-functions/latest/apireference/.
package states
