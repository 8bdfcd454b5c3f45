// Package hub is the stack of the workflow itself, in the hub account.
//
// The tour, a file for each part:
//
//   - functions.go: the Lambda functions, each with a role of its own that
//     can do what the function needs and nothing else.
//   - networks.go: the functions once more for each further VPC, and how the
//     definition picks them.
//   - workflow.go: the state machine from statemachine/rollout.asl.json, its
//     role, its log, its versions and the alias "live" that callers use.
//   - bucket.go: the run bucket, and the key of a deployment that wants its own.
//   - callers.go: the managed policies for those who start the workflow, look at it
//     or approve its waves, the role for other accounts, and the stack's outputs.
//   - events.go: the topic that tells people how executions go.
//   - schedules.go: executions at set times.
//   - observability.go: the dashboard and the alarms.
//
// Names that others rely on are fixed by the configuration's name: the roles of
// the functions, which access roles trust, the functions and the state machine.
package hub
