// Package asl runs Amazon States Language as AWS Step Functions does.
//
// It exists to try and to test a state machine on one machine: the definition
// that is deployed is the definition that runs here. Only the JSONata query
// language is run; what the package does not support it refuses by name when
// the definition is parsed ([UnsupportedError]) and never guesses.
//
// The way through the package:
//
//   - [Parse] turns a definition into a [Machine] (definition.go reads JSON in
//     order, parse.go knows the fields of each state, fields.go and literals.go
//     check their values, template.go compiles those that may hold
//     "{% expressions %}").
//   - A [Runner] starts a [Machine]: [Runner.Start] gives an [Execution] with a
//     history, an end, and a Stop (execution.go).
//   - states.go runs one state of each type; callback.go waits for the answer to a
//     Task's token ([Runner.Callback]); retry.go decides about Retry and
//     Catch; fork.go runs Parallel and the inline Map; mapitems.go finds a
//     Map's items; maprun.go runs a distributed Map, whose children are
//     executions of their own; results.go writes what a ResultWriter writes.
//   - history.go records events in the types of the Step Functions API.
//
// What the world outside does is behind three small interfaces: [Tasks] for
// the work of Task states, [Objects] for a distributed Map's bucket, and
// [Clock]. Tests use the asltest package, which scripts the tasks, keeps the
// objects in memory and lets time pass at once.
//
// The rules come from the Step Functions developer guide,
// https://docs.aws.amazon.com/step-functions/latest/dg/, and the language's
// specification, https://states-language.net.
package asl
