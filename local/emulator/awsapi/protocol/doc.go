// Package protocol is what the AWS services of the local endpoint have in common.
//
//   - A [Service] has a name, a wire protocol, and says of a request which
//     [Operation] it asks for. Adding one to the endpoint is a package that has
//     a Service and a line in package awsapi, or a call of its Mount.
//   - An operation answers a [Request], which knows its caller;
//     [Request.Authorize] is the one question to IAM.
//   - What an operation returns as an [Error] (a code, a message, an HTTP status)
//     is written the way the service's [Protocol] spells it, so that an SDK finds
//     the code it looks for and prints the message it was given: [Query] is XML of
//     STS, or JSON where the client accepts only that; [RESTXML] is S3; [RESTJSON]
//     is EKS and Lambda, with the code in X-Amzn-ErrorType; [JSON] is Step
//     Functions, EventBridge and Organizations, with the code in __type, and their
//     operations are [Targets].
package protocol
