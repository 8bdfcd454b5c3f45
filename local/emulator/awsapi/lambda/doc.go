// Package lambda serves AWS Lambda with real function binaries: what runs here
// is the executable that would be uploaded, started as a child process that
// talks to the Lambda runtime API.
//
// The tour:
//
//   - [Service] is the HTTP endpoint: Invoke, GetFunction, ListFunctions.
//   - A function has a pool of sandboxes. One sandbox is one process with a
//     runtime API of its own; it takes one invocation at a time, is reused while
//     it lives, and another is started when all are busy, up to the function's
//     reserved concurrency.
//   - A sandbox gets the environment that Lambda gives and nothing of the
//     developer's shell, with session credentials of the function's role: the
//     role must trust lambda.amazonaws.com.
//   - [Logs] keeps what the functions print, with Lambda's START, END and REPORT
//     lines around it; [Service.Invocations] keeps cold starts and durations.
//   - [Service.OnCall] is for tests that kill a function before or after one of the
//     calls that it makes.
//
// Errors have Lambda's names: Runtime.ExitError for a crash, Sandbox.Timedout
// for a timeout, and what the function itself reported otherwise. Asynchronous
// invocations run once; Lambda would retry them.
//
// The runtime API: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
package lambda
