package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/access"
	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/regions"
)

// environment returns the value of a function's environment variable, and nothing
// for one that the configuration has no value for.
func (h *hubStack) environment(name string) string {
	switch name {
	case awsenv.Partition:
		return regions.Partition(h.config.Hub.Region)
	case awsenv.RunBucket:
		return *h.bucket.BucketName()
	case awsenv.AccessRoleName:
		return h.config.QualifiedAccessRole()
	case awsenv.ExternalID:
		return h.config.ExternalID
	case awsenv.PollWindow:
		return strconv.Itoa(h.config.PollWindowSeconds) + "s"
	case awsenv.AdditionalRegions:
		return strings.Join(h.config.AdditionalRegions, " ")
	case awsenv.Allow:
		return allowlist.List(h.config.Allow).String()
	case awsenv.MaxConcurrency:
		return h.maxConcurrency()
	case awsenv.Operations:
		return joined(h.config.Operations)
	case awsenv.Organizations:
		if h.config.Organizations {
			return "true"
		}
		return ""
	}
	panic("no value for the environment variable " + name) // at synthesis, for the programmer
}

// joined returns names with spaces between them.
func joined[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, " ")
}

// maxConcurrency returns how many targets the functions' reserved concurrency
// lets be worked on at once: one that is under way occupies one function at a time.
func (h *hubStack) maxConcurrency() string {
	var reserved []int
	for _, f := range deployment.Functions() {
		if n := h.config.Functions[f.Name].ReservedConcurrency; f.ReachesClusters && n > 0 {
			reserved = append(reserved, n)
		}
	}
	if reserved == nil {
		return ""
	}
	return strconv.Itoa(slices.Min(reserved))
}

// objectStatements allow what a function does in the run bucket.
func (h *hubStack) objectStatements(f deployment.Function) []awsiam.PolicyStatement {
	var statements []awsiam.PolicyStatement
	for _, o := range f.Objects {
		var actions []string
		if o.Read {
			actions = append(actions, "s3:GetObject")
		}
		if o.Write {
			actions = append(actions, "s3:PutObject")
		}
		statements = append(statements, allow(actions, h.objects(o.Keys)))
	}
	for _, prefix := range f.Lists {
		list := allow([]string{"s3:ListBucket"}, *h.bucket.BucketArn())
		list.AddCondition(jsii.String("StringLike"), map[string]any{"s3:prefix": prefix})
		statements = append(statements, list)
	}
	return statements
}

func checkAssets(dir string) error {
	for _, name := range deployment.FunctionNames() {
		file := filepath.Join(dir, name+".zip")
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is missing: run `make build` first", file)
		} else if err != nil {
			return fmt.Errorf("the functions' zips: %w", err)
		}
	}
	return nil
}

func (h *hubStack) newFunctions(assets string) map[string]awslambda.Function {
	made := map[string]awslambda.Function{}
	for _, f := range deployment.Functions() {
		role := h.newFunctionRole(f)
		for _, v := range h.variants(f) {
			made[v.name()] = h.newFunction(v, filepath.Join(assets, f.Name+".zip"), role)
		}
	}
	return made
}

func (h *hubStack) newFunction(f variant, zip string, role awsiam.Role) awslambda.Function {
	tuning := h.config.Functions[f.Name]
	environment := map[string]string{}
	for _, name := range f.Environment {
		environment[name] = h.environment(name)
	}
	for _, name := range f.Optional {
		if value := h.environment(name); value != "" {
			environment[name] = value
		}
	}
	log := h.newLogGroup(f.id()+"Log", "/aws/lambda/"+*h.name(f.name()))
	log.GrantWrite(role)
	props := &awslambda.FunctionProps{
		FunctionName:  h.name(f.name()),
		Description:   jsii.String(f.Does),
		Runtime:       awslambda.Runtime_PROVIDED_AL2023(),
		Architecture:  awslambda.Architecture_ARM_64(),
		Handler:       jsii.String("bootstrap"),
		Code:          awslambda.Code_FromAsset(jsii.String(zip), nil),
		Role:          role,
		LogGroup:      log,
		LoggingFormat: awslambda.LoggingFormat_JSON,
		Tracing:       awslambda.Tracing_ACTIVE,
		MemorySize:    jsii.Number(tuning.MemoryMB),
		Timeout:       awscdk.Duration_Seconds(jsii.Number(f.TimeoutSeconds)),
		Environment:   pointers(environment),
		// A change publishes a version. Those before it stay for the executions that
		// name them: see newAlias.
		CurrentVersionOptions: &awslambda.VersionOptions{RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE},
	}
	if tuning.ReservedConcurrency > 0 {
		props.ReservedConcurrentExecutions = jsii.Number(tuning.ReservedConcurrency)
	}
	if h.key != nil {
		props.EnvironmentEncryption = h.key
	}
	made := awslambda.NewFunction(h.Stack, jsii.String(f.id()), props)
	if f.vpc != nil {
		// By id: looking the VPC up would need the account's credentials to synthesise.
		made.Node().DefaultChild().(awslambda.CfnFunction).SetVpcConfig(&awslambda.CfnFunction_VpcConfigProperty{
			SubnetIds:        texts(f.vpc.SubnetIDs...),
			SecurityGroupIds: texts(f.vpc.SecurityGroupIDs...),
		})
	}
	return made
}

// newFunctionRole makes a function's role, under the name that access roles trust.
func (h *hubStack) newFunctionRole(f deployment.Function) awsiam.Role {
	role := h.newRole(f.Title()+"Role", f.Name, "The "+f.Name+" function of the workflow. "+f.Does,
		awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil))
	for _, statement := range h.objectStatements(f) {
		role.AddToPolicy(statement)
	}
	if f.DescribesExecutions {
		role.AddToPolicy(allow([]string{"states:DescribeExecution"}, h.executions()))
	}
	if f.ListsOrganization && h.config.Organizations {
		role.AddToPolicy(h.listOrganization())
	}
	h.useKeyOf(f, role)
	if f.AssumesRoles {
		for _, statement := range h.assumeAccess() {
			role.AddToPolicy(statement)
		}
	}
	if !f.ReachesClusters {
		return role
	}
	if h.config.VPC != nil || len(h.config.Networks) > 0 {
		h.attachToVPC(f, role)
	}
	return role
}

// listOrganization allows to list what is in the units of the organisation, and in its
// root. Whose account the organisation's management is, is not known here.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
func (h *hubStack) listOrganization() awsiam.PolicyStatement {
	of := "arn:" + regions.Partition(h.config.Hub.Region) + ":organizations::*:"
	id := cmp.Or(h.config.OrganizationID, "o-*")
	return allow([]string{"organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"},
		of+"root/"+id+"/r-*", of+"ou/"+id+"/ou-*")
}

// useKeyOf lets a function read its environment, what it asks of executions, and
// objects of the run bucket as far as it uses them.
func (h *hubStack) useKeyOf(f deployment.Function, role awsiam.Role) {
	if len(f.Environment) > 0 {
		h.useKey(role, "lambda", "kms:Decrypt")
	}
	if f.DescribesExecutions && h.key != nil {
		role.AddToPolicy(h.keyOfExecutions("kms:Decrypt"))
	}
	reads, writes := f.Uses()
	switch {
	case writes:
		h.useKey(role, "s3", "kms:Decrypt", "kms:GenerateDataKey")
	case reads:
		h.useKey(role, "s3", "kms:Decrypt")
	}
}

// assumeAccess allows to assume the access roles: of each account by name, or,
// where there are more accounts than policies can name, or every account of a
// unit has one, of all accounts of the organisation.
func (h *hubStack) assumeAccess() []awsiam.PolicyStatement {
	if !h.config.NamesAccounts() {
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

// attachToVPC allows what Lambda needs to attach functions to a VPC, which takes no
// resource, and denies it to the functions' own code.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
func (h *hubStack) attachToVPC(f deployment.Function, role awsiam.Role) {
	actions := []string{
		"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
		"ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
	}
	role.AddToPolicy(allow(actions, "*"))
	var functions []string
	for _, v := range h.variants(f) {
		functions = append(functions, h.arn("lambda", "function:"+*h.name(v.name())))
	}
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Effect: awsiam.Effect_DENY, Actions: texts(actions...), Resources: texts("*"),
		Conditions: &map[string]any{"ArnEquals": map[string]any{"lambda:SourceFunctionArn": functions}},
	}))
}

func (h *hubStack) newLogGroup(id, name string) awslogs.LogGroup {
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
