package hub

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/shared/runs"
)

// newCallers makes the managed policy that lets a role start the workflow and
// wait for it, as a parent state machine does with startExecution.sync:2, and
// tells callers what they need to know.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
func (h *hubStack) newCallers(w workflow) {
	statements := []awsiam.PolicyStatement{
		w.startLive(),
		allow([]string{"states:DescribeExecution", "states:StopExecution"}, h.executions()),
		// The gentle way to stop: see docs/operating.md.
		allow([]string{"s3:PutObject"}, h.objects(runs.Pattern(runs.Stop))),
		allow([]string{"events:PutTargets", "events:PutRule", "events:DescribeRule"},
			h.arn("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")),
	}
	statements = append(statements, h.startEncrypted(w)...)
	if h.key != nil {
		statements = append(statements, h.keyThrough("s3", "kms:GenerateDataKey"))
	}
	policy := awsiam.NewManagedPolicy(h.Stack, jsii.String("CallerPolicy"), &awsiam.ManagedPolicyProps{
		ManagedPolicyName: h.name("caller"),
		Description:       jsii.String("Start the crossapply workflow and wait for it."),
		Statements:        &statements,
	})
	h.output("StateMachineArn", w.alias.AttrArn(), "What callers start: the alias of the state machine.")
	h.output("CallerPolicyArn", policy.ManagedPolicyArn(), "The managed policy for roles that start the workflow.")
	h.output("RunBucketName", h.bucket.BucketName(), "Where the full reports lie.")
}

func (h *hubStack) output(id string, value *string, description string) {
	awscdk.NewCfnOutput(h.Stack, jsii.String(id), &awscdk.CfnOutputProps{
		Value: value, Description: jsii.String(description), ExportName: h.name(id),
	})
}
