package access

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
)

// Templates are the files that StackSets deploy.
type Templates struct {
	// Role is the access role's.
	Role string
	// Entries are those of the access entries, one for each of [config.Config.Spread]
	// and "" where there is no entry in it.
	Entries []string
}

// unit is the StackSets of one organisational unit, each in a stack of its own in
// the hub's account. Their names hold all that says where roles are made. So a
// change of the units, of the home Region or of [config.StackSet.AllAccounts] makes
// other StackSets, and takes no role away: CloudFormation's own way with a StackSet
// whose targets change is to delete first and to create afterwards.
// https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-cloudformation
type unit struct {
	config config.Config
	scope  constructs.Construct
	id     string
}

// NewStackSets makes the StackSets' stacks of every organisational unit: the one
// of the access roles, and after it those of the access entries.
func NewStackSets(scope constructs.Construct, c config.Config, templates Templates) []awscdk.Stack {
	var stacks []awscdk.Stack
	for _, id := range c.StackSet.OrganizationalUnitIDs {
		u := unit{config: c, scope: scope, id: id}
		roles := u.roles(templates.Role)
		stacks = append(stacks, roles)
		last := roles
		for i, template := range templates.Entries {
			entries := u.entries(i, template)
			// In turn: an account that moves to another template moves to a later one.
			entries.AddStackDependency(last, jsii.String("an entry is made once its role is there, and no other template has it"))
			stacks = append(stacks, entries)
			last = entries
		}
	}
	return stacks
}

func (u unit) roles(template string) awscdk.Stack {
	home := u.config.StackSet.HomeRegion
	part, accounts := "roles-"+home, map[string][]string{home: nil}
	deployment := &awscdk.CfnStackSet_AutoDeploymentProperty{Enabled: jsii.Bool(false)}
	if u.config.StackSet.AllAccounts {
		part += "-all"
		deployment = &awscdk.CfnStackSet_AutoDeploymentProperty{
			Enabled: jsii.Bool(true),
			// A role that is made anew breaks its access entries, so an account
			// that moves to another unit keeps the one it has.
			RetainStacksOnAccountRemoval: jsii.Bool(true),
		}
	} else {
		for _, account := range u.config.Accounts {
			accounts[home] = append(accounts[home], account.ID)
		}
	}
	stack := u.newStack(part)
	u.newStackSet(stack, part, template, accounts).SetAutoDeployment(deployment)
	return stack
}

func (u unit) entries(i int, template string) awscdk.Stack {
	part := fmt.Sprintf("entries-%d", i+1)
	stack := u.newStack(part)
	if template == "" {
		newNothing(stack)
		return stack
	}
	accounts := map[string][]string{}
	for _, place := range u.config.Spread()[i] {
		accounts[place.Region] = append(accounts[place.Region], place.Account)
	}
	u.newStackSet(stack, part, template, accounts).
		SetAutoDeployment(&awscdk.CfnStackSet_AutoDeploymentProperty{Enabled: jsii.Bool(false)})
	return stack
}

func (u unit) newStack(part string) awscdk.Stack {
	c := u.config
	return awscdk.NewStack(u.scope, jsii.String(fmt.Sprintf("crossapply-access-%s-%s", u.id, part)), &awscdk.StackProps{
		StackName:             u.name(part),
		Description:           jsii.String("Gives the crossapply workflow access to the clusters of target accounts, by a StackSet."),
		Env:                   &awscdk.Environment{Account: jsii.String(c.Hub.Account), Region: jsii.String(c.Hub.Region)},
		TerminationProtection: jsii.Bool(c.TerminationProtection),
	})
}

// name returns the name of a part's stack, and of its StackSet.
func (u unit) name(part string) *string {
	return jsii.String(fmt.Sprintf("%s-access-%s-%s", u.config.Name, u.id, part))
}

// newStackSet makes a StackSet that is deployed in each Region to some of the
// unit's accounts, or to all where none are named.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stackset.html
func (u unit) newStackSet(stack awscdk.Stack, part, template string, accounts map[string][]string) awscdk.CfnStackSet {
	file := awss3assets.NewAsset(stack, jsii.String("Template"), &awss3assets.AssetProps{Path: jsii.String(template)})
	operation := u.config.StackSet.Operation
	return awscdk.NewCfnStackSet(stack, jsii.String("StackSet"), &awscdk.CfnStackSetProps{
		StackSetName:     u.name(part),
		Description:      jsii.String("Gives the crossapply workflow access to the clusters of target accounts."),
		TemplateUrl:      file.HttpUrl(),
		Capabilities:     jsii.Strings("CAPABILITY_NAMED_IAM"),
		PermissionModel:  jsii.String("SERVICE_MANAGED"),
		CallAs:           jsii.String(u.config.StackSet.CallAs),
		ManagedExecution: map[string]any{"Active": true},
		OperationPreferences: &awscdk.CfnStackSet_OperationPreferencesProperty{
			RegionConcurrencyType:      jsii.String(operation.RegionConcurrency),
			ConcurrencyMode:            jsii.String(operation.ConcurrencyMode),
			MaxConcurrentPercentage:    jsii.Number(operation.MaxConcurrentPercentage),
			FailureTolerancePercentage: jsii.Number(*operation.FailureTolerancePercentage),
		},
		StackInstancesGroup: u.instances(accounts),
	})
}

// instances lists which of the unit's accounts get the template, by Region. Of the
// accounts that are named, CloudFormation takes those that are in the unit.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeploymentTargets.html
func (u unit) instances(accounts map[string][]string) []*awscdk.CfnStackSet_StackInstancesProperty {
	var groups []*awscdk.CfnStackSet_StackInstancesProperty
	for _, region := range slices.Sorted(maps.Keys(accounts)) {
		targets := &awscdk.CfnStackSet_DeploymentTargetsProperty{OrganizationalUnitIds: jsii.Strings(u.id)}
		if len(accounts[region]) > 0 {
			targets.AccountFilterType = jsii.String("INTERSECTION")
			targets.Accounts = jsii.Strings(accounts[region]...)
		}
		groups = append(groups, &awscdk.CfnStackSet_StackInstancesProperty{Regions: jsii.Strings(region), DeploymentTargets: targets})
	}
	return groups
}
