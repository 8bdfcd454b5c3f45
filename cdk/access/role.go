package access

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/regions"
)

// RoleARN returns the ARN of the access role in an account.
func RoleARN(c config.Config, account string) string { return c.RoleARN(account, c.AccessRoleName) }

// newRole makes the access role: trusted by the hub's functions that assume
// it, with the external id, to describe clusters.
func newRole(scope constructs.Construct, c config.Config, account string, clusters []string, discovery bool) {
	props := &awsiam.CfnRoleProps{
		RoleName:                 jsii.String(c.AccessRoleName),
		Description:              jsii.String("Lets the crossapply workflow find this account's clusters; access to a cluster is given by its access entry."),
		AssumeRolePolicyDocument: trust(c),
		Policies: []*awsiam.CfnRole_PolicyProperty{{
			PolicyName: jsii.String("clusters"), PolicyDocument: permissions(c, account, clusters, discovery),
		}},
	}
	if c.RolePath != "" {
		props.Path = jsii.String(c.RolePath)
	}
	if boundary := c.BoundaryARN(account); boundary != "" {
		props.PermissionsBoundary = jsii.String(boundary)
	}
	awsiam.NewCfnRole(scope, jsii.String("Role"), props)
}

func trust(c config.Config) awsiam.PolicyDocument {
	var callers []string
	for _, function := range deployment.Functions() {
		if function.AssumesRoles {
			callers = append(callers, c.RoleARN(c.Hub.Account, c.Name+"-"+function.Name))
		}
	}
	var externalID any = c.ExternalID
	if c.PreviousExternalID != "" {
		externalID = []string{c.ExternalID, c.PreviousExternalID}
	}
	hub := fmt.Sprintf("arn:%s:iam::%s:root", regions.Partition(c.Hub.Region), c.Hub.Account)
	return document(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings("sts:AssumeRole"),
		Principals: &[]awsiam.IPrincipal{awsiam.NewArnPrincipal(jsii.String(hub))},
		Conditions: &map[string]any{
			"StringEquals": map[string]any{"sts:ExternalId": externalID},
			"ArnEquals":    map[string]any{"aws:PrincipalArn": callers},
		},
	})
}

func permissions(c config.Config, account string, clusters []string, discovery bool) awsiam.PolicyDocument {
	if !discovery {
		return document(describe(clusters...))
	}
	return document(
		// DescribeCluster tells a cluster's tags too.
		describe(clusterARN(c, account, "*", "*")),
		// It takes no resource.
		// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html
		&awsiam.PolicyStatementProps{Actions: jsii.Strings("eks:ListClusters"), Resources: jsii.Strings("*")},
	)
}

func describe(clusters ...string) *awsiam.PolicyStatementProps {
	return &awsiam.PolicyStatementProps{Actions: jsii.Strings("eks:DescribeCluster"), Resources: jsii.Strings(clusters...)}
}

func clusterARNs(c config.Config, account config.Account) []string {
	var arns []string
	for _, cluster := range account.Clusters {
		arns = append(arns, clusterARN(c, account.ID, cluster.Region, cluster.Name))
	}
	return arns
}

func clusterARN(c config.Config, account, region, name string) string {
	return fmt.Sprintf("arn:%s:eks:%s:%s:cluster/%s", regions.Partition(c.Hub.Region), region, account, name)
}

func document(statements ...*awsiam.PolicyStatementProps) awsiam.PolicyDocument {
	all := make([]awsiam.PolicyStatement, len(statements))
	for i, statement := range statements {
		all[i] = awsiam.NewPolicyStatement(statement)
	}
	return awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &all})
}
