package access

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
)

// NewRoleTemplate makes the stack of the access role that a StackSet deploys. It
// is the same in every account, so that no account's coming or going changes it,
// and therefore allows to describe any cluster of the account it is in: a cluster
// itself is reached by its access entry only.
func NewRoleTemplate(scope constructs.Construct, id string, c config.Config) awscdk.Stack {
	stack := newTemplate(scope, id)
	account := *awscdk.Aws_ACCOUNT_ID()
	newRole(stack, c, account, []string{clusterARN(c, account, "*", "*")}, c.Discovers())
	return stack
}

// NewEntriesTemplate makes a stack of the access entries of many accounts that a
// StackSet deploys. Conditions pick what belongs to the account and Region.
func NewEntriesTemplate(scope constructs.Construct, id string, c config.Config, places []config.Place) awscdk.Stack {
	stack := newTemplate(scope, id)
	for _, place := range places {
		here := constructs.NewConstruct(stack, jsii.String(fmt.Sprintf("In-%s-%s", place.Account, place.Region)))
		condition := awscdk.NewCfnCondition(here, jsii.String("Condition"), &awscdk.CfnConditionProps{
			Expression: awscdk.Fn_ConditionAnd(
				awscdk.Fn_ConditionEquals(awscdk.Aws_ACCOUNT_ID(), place.Account),
				awscdk.Fn_ConditionEquals(awscdk.Aws_REGION(), place.Region),
			),
		})
		// Below a construct of their own, logical ids carry a hash: names may differ
		// in nothing but a hyphen.
		entries := constructs.NewConstruct(here, jsii.String("Entries"))
		for _, cluster := range place.Clusters {
			newEntry(entries, cluster, c, place.Account, cluster).CfnOptions().SetCondition(condition)
		}
	}
	return stack
}

func newTemplate(scope constructs.Construct, id string) awscdk.Stack {
	return awscdk.NewStack(scope, jsii.String(id), &awscdk.StackProps{
		Description: jsii.String("Gives the crossapply workflow access to EKS clusters of this account."),
		Synthesizer: awscdk.NewLegacyStackSynthesizer(),
	})
}
