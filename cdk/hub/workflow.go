package hub

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	sfn "github.com/aws/aws-cdk-go/awscdk/v2/awsstepfunctions"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/runs"
)

// stateLogs is the prefix that AWS advises for logs of state machines: the log
// resource policy, which is limited in size, need not name them.
// https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
const stateLogs = "/aws/vendedlogs/states/"

// workflow is the state machine and what others need of it.
type workflow struct {
	machine sfn.StateMachine
	alias   sfn.CfnStateMachineAlias
	// arn is the state machine's ARN, as a plain text.
	arn string
}

// executions returns the pattern of the ARNs of the workflow's executions.
func (h *hubStack) executions() string {
	return h.arn("states", "execution:"+h.config.Name+":*")
}

// machineARN returns the ARN of the state machine.
func (h *hubStack) machineARN() string { return h.arn("states", "stateMachine:"+h.config.Name) }

// children returns the patterns of the ARNs of the child executions.
func (h *hubStack) children() []string { return h.ofMaps("execution") }

// ofMaps returns the patterns of the ARNs of what carries the labels of the Maps.
func (h *hubStack) ofMaps(kind string) []string {
	var patterns []string
	for _, label := range []string{deployment.MapLabel, deployment.DiscoveryLabel} {
		patterns = append(patterns, h.arn("states", kind+":"+h.config.Name+"/"+label+":*"))
	}
	return patterns
}

func (h *hubStack) newWorkflow(definition string, functions map[string]awslambda.Function) workflow {
	w := workflow{arn: h.machineARN()}
	substitutions := h.configured()
	for _, f := range deployment.Functions() {
		// By version: an execution under way keeps the code that it began with.
		substitutions[f.Placeholder()] = jsii.String(h.functionName(f, func(v variant) string {
			return *functions[v.name()].CurrentVersion().FunctionArn()
		}))
	}
	props := &sfn.StateMachineProps{
		StateMachineName:        jsii.String(h.config.Name),
		StateMachineType:        sfn.StateMachineType_STANDARD,
		DefinitionBody:          sfn.DefinitionBody_FromFile(jsii.String(definition), nil),
		DefinitionSubstitutions: &substitutions,
		Role:                    h.newWorkflowRole(w),
		TracingEnabled:          jsii.Bool(true),
	}
	if h.config.Logs.Level != "OFF" {
		props.Logs = &sfn.LogOptions{
			Destination:          h.newLogGroup("WorkflowLog", stateLogs+h.config.Name),
			Level:                sfn.LogLevel(h.config.Logs.Level),
			IncludeExecutionData: jsii.Bool(h.config.Logs.IncludeExecutionData),
		}
	}
	if h.key != nil {
		props.EncryptionConfiguration = sfn.NewCustomerManagedEncryptionConfiguration(h.key, nil)
	}
	w.machine = sfn.NewStateMachine(h.Stack, jsii.String("Workflow"), props)
	w.alias = h.newAlias(w.machine)
	return w
}

// configured returns what the definition says of the configuration, by placeholder.
func (h *hubStack) configured() map[string]*string {
	var accounts []string
	for _, account := range h.config.Accounts {
		accounts = append(accounts, account.ID)
	}
	return *pointers(map[string]string{
		deployment.PartitionPlaceholder: regions.Partition(h.config.Hub.Region),
		deployment.EventBusPlaceholder:  h.config.Events.BusName,
		deployment.AccountsPlaceholder:  joined(accounts),
		deployment.UnitsPlaceholder:     joined(h.config.Units()),
		deployment.RegionsPlaceholder:   joined(h.config.LooksIn()),
	})
}

// newWorkflowRole makes the state machine's role: invoke the functions, run its
// own Distributed Maps, read their items, write their results and the marks of
// targets that failed, and send events.
// https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
func (h *hubStack) newWorkflowRole(w workflow) awsiam.Role {
	role := h.newRole("WorkflowRole", "workflow", "The state machine of the workflow.",
		h.service("states.amazonaws.com", h.arn("states", "stateMachine:*")))
	var invoked []string
	for _, v := range h.allVariants() {
		invoked = append(invoked, h.arn("lambda", "function:"+*h.name(v.name())+":*")) // all versions
	}
	for _, statement := range []awsiam.PolicyStatement{
		allow([]string{"lambda:InvokeFunction"}, invoked...),
		allow([]string{"states:StartExecution"}, w.arn),
		// AWS documents the first form for running a Map, and the second is its
		// children's.
		allow([]string{"states:DescribeExecution", "states:StopExecution"}, append(h.children(), h.executions())...),
		allow([]string{"s3:GetObject"}, h.objects(runs.Pattern(runs.Accounts)), h.objects(runs.Pattern(runs.Items+"*"))),
		allow([]string{"s3:PutObject"}, h.objects(runs.Pattern(runs.Failed+"*"))),
		allow([]string{"s3:GetObject", "s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"},
			h.objects(runs.Pattern(runs.Listing+"/*")), h.objects(runs.Pattern(runs.Results+"*"))),
		allow([]string{"events:PutEvents"}, h.arn("events", "event-bus/"+h.config.Events.BusName)),
	} {
		role.AddToPolicy(statement)
	}
	// A Map writes its results in several parts, and that takes kms:Encrypt too.
	h.useKey(role, "s3", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
	return role
}

// service is a service of AWS as a principal, but only when it acts for a
// resource of this account: AWS's advice against a confused deputy.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
func (h *hubStack) service(name, sourceARN string) awsiam.IPrincipal {
	return awsiam.NewServicePrincipal(jsii.String(name), &awsiam.ServicePrincipalOpts{Conditions: &map[string]any{
		"StringEquals": map[string]any{"aws:SourceAccount": h.config.Hub.Account},
		"ArnLike":      map[string]any{"aws:SourceArn": sourceARN},
	}})
}

// startLive allows to start the workflow by its alias, and only by that. IAM
// sees the state machine's own ARN then, and the alias as a condition key.
// https://docs.aws.amazon.com/step-functions/latest/dg/auth-version-alias.html
func (w workflow) startLive() awsiam.PolicyStatement {
	start := allow([]string{"states:StartExecution"}, w.arn)
	start.AddCondition(jsii.String("ForAnyValue:StringEquals"), map[string]any{"states:StateMachineQualifier": []string{deployment.Alias}})
	return start
}

// newAlias publishes the state machine as a version and points the alias at it.
// Versions are kept, with the functions' versions that they name, so that pointing
// the alias at an earlier one is the way back. Command prune deletes old ones.
func (h *hubStack) newAlias(machine sfn.StateMachine) sfn.CfnStateMachineAlias {
	version := sfn.NewCfnStateMachineVersion(h.Stack, jsii.String("Version"), &sfn.CfnStateMachineVersionProps{
		StateMachineArn:        machine.StateMachineArn(),
		StateMachineRevisionId: machine.StateMachineRevisionId(),
	})
	version.ApplyRemovalPolicy(awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE, nil)
	return sfn.NewCfnStateMachineAlias(h.Stack, jsii.String("Live"), &sfn.CfnStateMachineAliasProps{
		Name:        jsii.String(deployment.Alias),
		Description: jsii.String("The version that callers and schedules start."),
		DeploymentPreference: &sfn.CfnStateMachineAlias_DeploymentPreferenceProperty{
			Type:                   jsii.String("ALL_AT_ONCE"),
			StateMachineVersionArn: version.AttrArn(),
		},
	})
}
