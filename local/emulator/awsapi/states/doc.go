// Package states serves the AWS Step Functions API on one machine.
//
// [Server] is an http.Handler for the protocol awsjson1.0, as any SDK and the
// AWS CLI speak it. It keeps state machines and executions in memory and runs
// them with package asl. The signature of a request has been verified before
// it comes here; who may do what is asked of [Access]. The work of Task states,
// and the reading and writing of distributed Maps, goes through the real SDK
// clients as the state machine's role, so that mistakes in its policies show
// as they do on AWS.
//
//   - server.go: the protocol; shape.go: the SDK's types as JSON
//   - machines.go, executions.go, mapruns.go: the operations
//   - integrations.go: lambda:invoke, s3:getObject and s3:putObject
//
// An operation that is not here is answered with UnknownOperationException.
// The API is described at https://docs.aws.amazon.com/step-functions/latest/apireference/.
package states
