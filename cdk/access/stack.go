package access

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseks"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/regions"
)

const description = "Gives the crossapply workflow access to EKS clusters of this account."

// RoleARN returns the ARN of the access role in an account.
func RoleARN(c config.Config, account string) string {
	return fmt.Sprintf("arn:%s:iam::%s:role/%s", regions.Partition(c.Hub.Region), account, c.AccessRoleName)
}

// stackID is what the CDK calls a place's stack, in `cdk deploy` and cdk.out: the
// same whatever the configuration's name is.
func stackID(place config.Place) *string {
	return jsii.String(fmt.Sprintf("crossapply-access-%s-%s", place.Account, place.Region))
}

// NewStack makes the stack of one account in one Region.
func NewStack(scope constructs.Construct, c config.Config, place config.Place) awscdk.Stack {
	stack := awscdk.NewStack(scope, stackID(place), &awscdk.StackProps{
		StackName:   jsii.String(c.Name + "-access"),
		Description: jsii.String(description),
		Env:         &awscdk.Environment{Account: jsii.String(place.Account), Region: jsii.String(place.Region)},
		Synthesizer: awscdk.NewLegacyStackSynthesizer(),
	})
	part{config: c, place: place}.build(stack)
	return stack
}

// NewTemplate makes a stack of several places, each part under the condition
// that it is deployed there.
func NewTemplate(scope constructs.Construct, id string, c config.Config, places []config.Place) awscdk.Stack {
	stack := awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		Description: jsii.String(description),
		Synthesizer: awscdk.NewLegacyStackSynthesizer(),
	})
	for _, place := range places {
		here := constructs.NewConstruct(stack, jsii.String(fmt.Sprintf("In-%s-%s", place.Account, place.Region)))
		condition := awscdk.NewCfnCondition(here, jsii.String("Condition"), &awscdk.CfnConditionProps{
			Expression: awscdk.Fn_ConditionAnd(
				awscdk.Fn_ConditionEquals(awscdk.Aws_ACCOUNT_ID(), place.Account),
				awscdk.Fn_ConditionEquals(awscdk.Aws_REGION(), place.Region),
			),
		})
		part{config: c, place: place, condition: condition}.build(here)
	}
	return stack
}

// part is what one account needs in one Region.
type part struct {
	config config.Config
	place  config.Place
	// condition is nil where the part has a stack of its own.
	condition awscdk.CfnCondition
}

func (p part) build(scope constructs.Construct) {
	var role awsiam.CfnRole
	if p.place.Home {
		role = p.newRole(scope)
	}
	// Below a construct of their own, logical ids carry a hash: names may differ
	// in nothing but a hyphen.
	entries := constructs.NewConstruct(scope, jsii.String("Entries"))
	for _, cluster := range p.place.Clusters {
		entry := awseks.NewCfnAccessEntry(entries, jsii.String(cluster), &awseks.CfnAccessEntryProps{
			ClusterName:      jsii.String(cluster),
			PrincipalArn:     jsii.String(RoleARN(p.config, p.place.Account)),
			KubernetesGroups: jsii.Strings(deployment.Group),
			Type:             jsii.String("STANDARD"),
		})
		p.onlyHere(entry)
		if role != nil {
			entry.AddResourceDependency(role, jsii.String("EKS refuses an entry for a role that is not there"))
		}
	}
}

func (p part) onlyHere(resource awscdk.CfnResource) {
	if p.condition != nil {
		resource.CfnOptions().SetCondition(p.condition)
	}
}

// newRole makes the access role: trusted by the hub's functions that call
// clusters, with the external id, to describe the clusters.
func (p part) newRole(scope constructs.Construct) awsiam.CfnRole {
	role := awsiam.NewCfnRole(scope, jsii.String("Role"), &awsiam.CfnRoleProps{
		RoleName:                 jsii.String(p.config.AccessRoleName),
		Description:              jsii.String("Lets the crossapply workflow find this account's clusters; access to a cluster is given by its access entry."),
		AssumeRolePolicyDocument: p.trust(),
		Policies: []*awsiam.CfnRole_PolicyProperty{{
			PolicyName: jsii.String("clusters"), PolicyDocument: p.permissions(),
		}},
	})
	p.onlyHere(role)
	return role
}

func (p part) trust() awsiam.PolicyDocument {
	partition := regions.Partition(p.config.Hub.Region)
	var callers []string
	for _, function := range deployment.Functions() {
		if function.ReachesTargets {
			callers = append(callers, fmt.Sprintf("arn:%s:iam::%s:role/%s-%s", partition, p.config.Hub.Account, p.config.Name, function.Name))
		}
	}
	return document(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("sts:AssumeRole"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewArnPrincipal(jsii.String(fmt.Sprintf("arn:%s:iam::%s:root", partition, p.config.Hub.Account)))},
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"sts:ExternalId": p.config.ExternalID},
			"ArnEquals":    map[string]any{"aws:PrincipalArn": callers},
		},
	})
}

func (p part) permissions() awsiam.PolicyDocument {
	account := p.account()
	arn := func(region, cluster string) *string {
		return jsii.String(fmt.Sprintf("arn:%s:eks:%s:%s:cluster/%s", regions.Partition(p.config.Hub.Region), region, account.ID, cluster))
	}
	var clusters []*string
	for _, cluster := range account.Clusters {
		clusters = append(clusters, arn(cluster.Region, cluster.Name))
	}
	if !account.Discovery {
		return document(describe(clusters))
	}
	return document(
		// DescribeCluster tells a cluster's tags too.
		describe([]*string{arn("*", "*")}),
		// It takes no resource.
		// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html
		&awsiam.PolicyStatementProps{Actions: jsii.Strings("eks:ListClusters"), Resources: jsii.Strings("*")},
	)
}

func describe(clusters []*string) *awsiam.PolicyStatementProps {
	return &awsiam.PolicyStatementProps{Actions: jsii.Strings("eks:DescribeCluster"), Resources: &clusters}
}

func (p part) account() config.Account {
	for _, account := range p.config.Accounts {
		if account.ID == p.place.Account {
			return account
		}
	}
	return config.Account{ID: p.place.Account}
}

func document(statements ...*awsiam.PolicyStatementProps) awsiam.PolicyDocument {
	all := make([]awsiam.PolicyStatement, len(statements))
	for i, statement := range statements {
		all[i] = awsiam.NewPolicyStatement(statement)
	}
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &all})
}
