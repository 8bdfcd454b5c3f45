package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/access"
	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/contract"
)

// function is one of the workflow's functions.
type function struct {
	name string
	// does says in a sentence what it is for.
	does string
	// seconds is its timeout. It stays below the timeout of the definition's
	// state, so that it is the function that ends first and says why.
	seconds float64
	tuning  config.Function
	env     map[string]string
	// reaches says that it assumes access roles and calls clusters.
	reaches bool
	// writes and reads say that it uses objects of the run bucket.
	writes, reads bool
	statements    []awsiam.PolicyStatement
}

// list returns the functions, each with the least it needs.
func (h *hub) list() []function {
	c := h.config
	partition := contract.PartitionOf(c.Hub.Region)
	toTarget := map[string]string{"PARTITION": partition, "ACCESS_ROLE_NAME": c.AccessRoleName, "EXTERNAL_ID": c.ExternalID}
	polling := map[string]string{"POLL_WINDOW": strconv.Itoa(c.PollWindowSeconds) + "s"}
	for key, value := range toTarget {
		polling[key] = value
	}
	listRuns := allow([]string{"s3:ListBucket"}, *h.bucket.BucketArn())
	listRuns.AddCondition(jsii.String("StringLike"), map[string]any{"s3:prefix": "runs/*"})
	return []function{
		{name: "plan", does: "Checks the request and writes targets and resource to the run bucket.",
			seconds: 30, tuning: c.Functions.Plan, writes: true, reads: true,
			env: map[string]string{"PARTITION": partition, "RUN_BUCKET": *h.bucket.BucketName()},
			statements: []awsiam.PolicyStatement{
				allow([]string{"s3:PutObject"}, h.objects("runs/*")),
				allow([]string{"s3:GetObject", "s3:PutObject"}, h.objects("claims/*")),
			}},
		{name: "resolve", does: "Finds a target's cluster and proves that the workflow may act there.",
			seconds: 60, tuning: c.Functions.Resolve, env: toTarget, reaches: true},
		{name: "apply", does: "Applies the resource to a cluster, once.",
			seconds: 60, tuning: c.Functions.Apply, env: toTarget, reaches: true, reads: true,
			statements: []awsiam.PolicyStatement{allow([]string{"s3:GetObject"}, h.objects("runs/*/resource.json"))}},
		{name: "poll", does: "Watches the resource on a cluster for one window.",
			seconds: 120, tuning: c.Functions.Poll, env: polling, reaches: true},
		{name: "report", does: "Gathers how every target ended.",
			seconds: 240, tuning: c.Functions.Report, writes: true, reads: true,
			statements: []awsiam.PolicyStatement{
				allow([]string{"s3:GetObject"}, h.objects("runs/*")),
				allow([]string{"s3:PutObject"}, h.objects("runs/*/report.json")),
				listRuns,
			}},
	}
}

// functionNames are the functions' names, as in dist/ and in the definition.
func functionNames() []string { return []string{"plan", "resolve", "apply", "poll", "report"} }

func checkAssets(dir string) error {
	for _, name := range functionNames() {
		file := filepath.Join(dir, name+".zip")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing: run `make build` first", file)
		} else if err != nil {
			return fmt.Errorf("the functions' zips: %w", err)
		}
	}
	return nil
}

func (h *hub) newFunctions(assets string) map[string]awslambda.Function {
	made := map[string]awslambda.Function{}
	for _, f := range h.list() {
		made[f.name] = h.newFunction(f, filepath.Join(assets, f.name+".zip"))
	}
	return made
}

func (h *hub) newFunction(f function, zip string) awslambda.Function {
	title := string(f.name[0]-'a'+'A') + f.name[1:]
	log := h.newLogGroup(title+"Log", "/aws/lambda/"+*h.name(f.name))
	role := h.newFunctionRole(f, title, log)
	props := &awslambda.FunctionProps{
		FunctionName:  h.name(f.name),
		Description:   jsii.String(f.does),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  awslambda.Architecture_ARM_64(),
		Handler:       jsii.String("bootstrap"),
		Code:          awslambda.Code_FromAsset(jsii.String(zip), nil),
		Role:          role,
		LogGroup:      log,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Tracing:       awslambda.Tracing_ACTIVE,
		MemorySize:    jsii.Number(f.tuning.MemoryMB),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(f.seconds)),
		Environment:   pointers(f.env),
	}
	if f.tuning.ReservedConcurrency > 0 {
		props.ReservedConcurrentExecutions = jsii.Number(f.tuning.ReservedConcurrency)
	}
	if h.key != nil {
		props.EnvironmentEncryption = h.key
	}
	made := awslambda.NewFunction(h.Stack, jsii.String(title), props)
	if f.reaches && h.config.VPC != nil {
		// By id: looking the VPC up would need the account's credentials to synthesise.
		made.Node().DefaultChild().(awslambda.CfnFunction).SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds:        texts(h.config.VPC.SubnetIDs...),
			SecurityGroupIds: texts(h.config.VPC.SecurityGroupIDs...),
		})
	}
	return made
}

// newFunctionRole makes a function's role, under the name that access roles trust.
func (h *hub) newFunctionRole(f function, title string, log awslogs.LogGroup) awsiam.Role {
	role := awsiam.NewRole(h.Stack, jsii.String(title+"Role"), &awsiam.RoleProps{
		RoleName:    h.name(f.name),
		Description: jsii.String("The " + f.name + " function of the workflow. " + f.does),
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	for _, statement := range f.statements {
		role.AddToPolicy(statement)
	}
	log.GrantWrite(role)
	h.useKeyOf(f, role)
	if !f.reaches {
		return role
	}
	for _, statement := range h.assumeAccess() {
		role.AddToPolicy(statement)
	}
	if h.config.VPC != nil {
		h.attachToVPC(f, role)
	}
	return role
}

// useKeyOf lets a function read its environment, and objects of the run bucket
// as far as it uses them.
func (h *hub) useKeyOf(f function, role awsiam.Role) {
	if len(f.env) > 0 {
		h.useKey(role, "lambda", "kms:Decrypt")
	}
	switch {
	case f.writes:
		h.useKey(role, "s3", "kms:Decrypt", "kms:GenerateDataKey")
	case f.reads:
		h.useKey(role, "s3", "kms:Decrypt")
	}
}

// assumeAccess allows to assume the access roles: of each account by name, or,
// where there are more accounts than policies can name, of all accounts of the
// organisation.
func (h *hub) assumeAccess() []awsiam.PolicyStatement {
	if len(h.config.Accounts) > config.MaxNamedAccounts {
		anywhere := allow([]string{"sts:AssumeRole"}, access.RoleARN(h.config, "*"))
		anywhere.AddCondition(jsii.String("StringEquals"), map[string]any{"aws:ResourceOrgID": h.config.OrganizationID})
		return []awsiam.PolicyStatement{anywhere}
	}
	// Statements of limited size: the role spreads them over several policies
	// where there are many accounts.
	var named []awsiam.PolicyStatement
	for accounts := range slices.Chunk(h.config.Accounts, 50) {
		var roles []string
		for _, account := range accounts {
			roles = append(roles, access.RoleARN(h.config, account.ID))
		}
		named = append(named, allow([]string{"sts:AssumeRole"}, roles...))
	}
	return named
}

// attachToVPC allows what Lambda needs to attach a function to a VPC, which
// takes no resource, and denies it to the function's own code.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
func (h *hub) attachToVPC(f function, role awsiam.Role) {
	actions := []string{
		"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
		"ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
	}
	role.AddToPolicy(allow(actions, "*"))
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect: awsiam.Effect_DENY, Actions: texts(actions...), Resources: texts("*"),
		Conditions: &map[string]any{"ArnEquals": map[string]any{"lambda:SourceFunctionArn": h.arn("lambda", "function:"+*h.name(f.name))}},
	}))
}

func (h *hub) newLogGroup(id, name string) awslogs.LogGroup {
	props := &awslogs.LogGroupProps{
		LogGroupName: jsii.String(name),
		// RetentionDays is an enumeration of names in CDK; the number is set below.
		Retention:     awslogs.RetentionDays_ONE_DAY,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	}
	if h.key != nil {
		props.EncryptionKey = h.key
	}
	group := awslogs.NewLogGroup(h.Stack, jsii.String(id), props)
	group.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(h.config.Logs.RetentionDays))
	return group
}

func pointers(values map[string]string) *map[string]*string {
	all := map[string]*string{}
	for key, value := range values {
		all[key] = jsii.String(value)
	}
	return &all
}
