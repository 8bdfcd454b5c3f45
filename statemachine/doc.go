// Package statemachine holds the workflow's one definition, rollout.asl.json,
// in Amazon States Language with JSONata. The CDK app deploys this file and the
// local world executes it; nothing is generated.
//
// Its placeholders (${Partition}, ${PlanFunctionArn} and so on) are filled by the
// deployment: see [Substitute].
package statemachine
