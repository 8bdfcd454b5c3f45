package access

import (
	"fmt"
	"regexp"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awseks"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/naming"
	"github.com/crossapply/crossapply/shared/regions"
)

// StackID is what the CDK calls the stack of an account's access role, in `cdk
// deploy` and cdk.out: the same whatever the configuration's name is.
func StackID(account string) string { return "crossapply-access-" + account }

// EntryStackID is what it calls the stack of a cluster's access entry.
func EntryStackID(account string, cluster config.Cluster) string {
	return fmt.Sprintf("%s-%s-%s", StackID(account), cluster.Region, stackPart(cluster.Name))
}

// NewStacks makes the stacks of one account: the access role's, and then one for
// each cluster.
func NewStacks(scope constructs.Construct, c config.Config, account config.Account) []awscdk.Stack {
	role := newStack(scope, c, account, StackID(account.ID), c.Home(account), "")
	newRole(role, c, account.ID, clusterARNs(c, account), account.Discovery)
	stacks := []awscdk.Stack{role}
	for _, cluster := range account.Clusters {
		stack := newStack(scope, c, account, EntryStackID(account.ID, cluster), cluster.Region, "-"+stackPart(cluster.Name))
		stack.AddStackDependency(role, jsii.String("EKS refuses an entry for a role that is not there"))
		if cluster.WithoutEntry {
			newNothing(stack)
		} else {
			newEntry(stack, "Entry", c, account.ID, cluster.Name)
		}
		stacks = append(stacks, stack)
	}
	return stacks
}

func newStack(scope constructs.Construct, c config.Config, account config.Account, id, region, suffix string) awscdk.Stack {
	return awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		StackName:             jsii.String(c.Name + "-access" + suffix),
		Description:           jsii.String("Gives the crossapply workflow access to EKS clusters of this account."),
		Env:                   &awscdk.Environment{Account: jsii.String(account.ID), Region: jsii.String(region)},
		TerminationProtection: jsii.Bool(c.TerminationProtection),
		Synthesizer:           awscdk.NewLegacyStackSynthesizer(),
	})
}

var notInStackNames = regexp.MustCompile(`[^0-9A-Za-z-]`)

// maxStackPart leaves room for the deployment's name in a stack's name, and for
// account and Region in what the CDK calls it: both may have 128 characters.
const maxStackPart = 80

// stackPart is a cluster's name as a part of a stack's, which has letters, digits
// and hyphens only. One that had to be changed ends in a hash, so that two names
// stay two.
func stackPart(cluster string) string {
	return naming.Fit(cluster, notInStackNames, 1, maxStackPart)
}

// newNothing makes a resource that is nothing, in a stack that would have none
// without it and so could not be deployed: what it had is deleted all the same.
func newNothing(stack awscdk.Stack) {
	awscdk.NewCfnWaitConditionHandle(stack, jsii.String("Nothing"), nil)
}

// newEntry makes the access entry of a cluster.
func newEntry(scope constructs.Construct, id string, c config.Config, account, cluster string) awseks.CfnAccessEntry {
	return awseks.NewCfnAccessEntry(scope, jsii.String(id), &awseks.CfnAccessEntryProps{
		ClusterName:      jsii.String(cluster),
		PrincipalArn:     jsii.String(RoleARN(c, account)),
		KubernetesGroups: jsii.Strings(deployment.Group),
		Type:             jsii.String("STANDARD"),
		AccessPolicies:   accessPolicies(c),
	})
}

// accessPolicies returns nil where there are none: an entry's property that is an
// empty list would differ from one that is not there.
func accessPolicies(c config.Config) any {
	if len(c.AccessPolicies) == 0 {
		return nil
	}
	var policies []*awseks.CfnAccessEntry_AccessPolicyProperty
	for _, policy := range c.AccessPolicies {
		scope := &awseks.CfnAccessEntry_AccessScopeProperty{Type: jsii.String("cluster")}
		if len(policy.Namespaces) > 0 {
			scope = &awseks.CfnAccessEntry_AccessScopeProperty{Type: jsii.String("namespace"), Namespaces: jsii.Strings(policy.Namespaces...)}
		}
		policies = append(policies, &awseks.CfnAccessEntry_AccessPolicyProperty{
			// EKS's own, so that the account is "aws" in every partition.
			PolicyArn:   jsii.String(fmt.Sprintf("arn:%s:eks::aws:cluster-access-policy/%s", regions.Partition(c.Hub.Region), policy.Name)),
			AccessScope: scope,
		})
	}
	return policies
}
