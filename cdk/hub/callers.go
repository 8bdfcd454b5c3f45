package hub

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/runs"
)

// newCallers makes what callers and readers get, and tells them what they need to
// know.
func (h *hubStack) newCallers(w workflow) {
	// The descriptions never change: a policy with another one would be made anew, which
	// CloudFormation refuses of one with a name.
	// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-managedpolicy.html
	caller := h.newPolicy("CallerPolicy", "caller", "Start the crossapply workflow and wait for it.", h.calling(w))
	reader := h.newPolicy("ReaderPolicy", "reader", "See executions of the crossapply workflow and read their reports.", h.reading(w))
	approver := h.newPolicy("ApproverPolicy", "approver", "Answer the crossapply workflow when it asks for an approval.", h.approving())
	h.output("StateMachineArn", w.alias.AttrArn(), "What callers start: the alias of the state machine.")
	h.output("CallerPolicyArn", caller.ManagedPolicyArn(), "The managed policy for roles that start the workflow.")
	h.output("ReaderPolicyArn", reader.ManagedPolicyArn(), "The managed policy for roles that look at executions and reports.")
	h.output("ApproverPolicyArn", approver.ManagedPolicyArn(), "The managed policy for roles that approve waves, or refuse to.")
	h.output("RunBucketName", h.bucket.BucketName(), "Where the full reports lie.")
	if h.config.CallerRole != nil {
		role := h.newCallerRole(caller)
		h.output("CallerRoleArn", role.RoleArn(), "The role that callers of other accounts assume.")
	}
}

func (h *hubStack) newPolicy(id, name, does string, statements []awsiam.PolicyStatement) awsiam.ManagedPolicy {
	return awsiam.NewManagedPolicy(h.Stack, jsii.String(id), &awsiam.ManagedPolicyProps{
		ManagedPolicyName: h.name(name), Description: jsii.String(does), Statements: &statements,
	})
}

// calling allows to start the workflow and wait for it, as a parent state machine
// does with startExecution.sync:2, to stop it, and to read the report.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-stepfunctions.html
func (h *hubStack) calling(w workflow) []awsiam.PolicyStatement {
	statements := []awsiam.PolicyStatement{
		w.startLive(),
		allow([]string{"states:DescribeExecution", "states:StopExecution"}, h.executions()),
		// The gentle way to stop: see docs/operating.md.
		allow([]string{"s3:PutObject"}, h.objects(runs.Pattern(runs.Stop))),
		allow([]string{"s3:GetObject"}, h.objects(runs.Reports+"*")),
		allow([]string{"events:PutTargets", "events:PutRule", "events:DescribeRule"},
			h.arn("events", "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule")),
	}
	statements = append(statements, h.startEncrypted()...)
	if h.key != nil {
		statements = append(statements, h.keyThrough("s3", "kms:Decrypt", "kms:GenerateDataKey"))
	}
	return statements
}

// reading allows to look at executions, down to the history of each target, and to
// list and read the reports. A history holds the request, so it is as confidential
// as that.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsstepfunctions.html
func (h *hubStack) reading(w workflow) []awsiam.PolicyStatement {
	list := allow([]string{"s3:ListBucket"}, *h.bucket.BucketArn())
	list.AddCondition(jsii.String("StringLike"), map[string]any{"s3:prefix": runs.Reports + "*"})
	statements := []awsiam.PolicyStatement{
		allow([]string{"states:DescribeStateMachine", "states:DescribeStateMachineAlias", "states:ListStateMachineAliases",
			"states:ListStateMachineVersions", "states:ListExecutions"}, w.arn, w.arn+":*"),
		allow([]string{"states:DescribeExecution", "states:DescribeStateMachineForExecution", "states:GetExecutionHistory", "states:ListMapRuns"},
			append(h.children(), h.executions())...),
		// A Map Run lists its children as a state machine does its executions.
		allow([]string{"states:DescribeMapRun", "states:ListExecutions"}, h.ofMaps("mapRun")...),
		allow([]string{"s3:GetObject"}, h.objects(runs.Reports+"*")),
		list,
	}
	if h.key != nil {
		statements = append(statements, h.keyThrough("s3", "kms:Decrypt"), h.keyOfExecutions("kms:Decrypt"))
	}
	return statements
}

// approving allows to find the executions that ask for an approval, and to answer them:
// nothing that starts or stops one. AWS documents no resource for the answers, but
// checks them on the state machine.
// https://github.com/aws/aws-cdk/pull/8486
func (h *hubStack) approving() []awsiam.PolicyStatement {
	statements := []awsiam.PolicyStatement{
		allow([]string{"states:SendTaskSuccess", "states:SendTaskFailure", "states:ListExecutions"}, h.machineARN()),
		allow([]string{"states:DescribeExecution", "states:GetExecutionHistory"}, h.executions()),
	}
	if h.key != nil {
		// Step Functions encrypts an answer with the rights of the workflow's role.
		// https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html
		statements = append(statements, h.keyOfExecutions("kms:Decrypt"))
	}
	return statements
}

// newCallerRole makes the role for callers of other accounts. A role among them is
// named by a condition, as the functions' roles are in the access roles: IAM would
// keep the unique id of one that were a principal, and shut out the one that is made
// anew under its name.
func (h *hubStack) newCallerRole(policy awsiam.ManagedPolicy) awsiam.Role {
	var trusted []awsiam.IPrincipal
	for _, principal := range h.config.CallerRole.Principals {
		account, conditions := principal, map[string]any{}
		if id := h.config.CallerRole.ExternalID; id != "" {
			conditions["StringEquals"] = map[string]any{"sts:ExternalId": id}
		}
		if strings.HasPrefix(principal, "arn:") {
			account = strings.Split(principal, ":")[4]
			conditions["ArnEquals"] = map[string]any{"aws:PrincipalArn": principal}
		}
		root := "arn:" + regions.Partition(h.config.Hub.Region) + ":iam::" + account + ":root"
		trusted = append(trusted, awsiam.NewPrincipalWithConditions(awsiam.NewArnPrincipal(jsii.String(root)), &conditions))
	}
	role := h.newRole("CallerRole", "caller", "Callers of the workflow in other accounts.", awsiam.NewCompositePrincipal(trusted...))
	role.AddManagedPolicy(policy)
	return role
}

func (h *hubStack) output(id string, value *string, description string) {
	awscdk.NewCfnOutput(h.Stack, jsii.String(id), &awscdk.CfnOutputProps{
		Value: value, Description: jsii.String(description), ExportName: h.name(id),
	})
}
