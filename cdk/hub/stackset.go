package hub

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
)

// newStackSet deploys the access template to every target account of an
// organisation: first where the access roles are made, then in the other
// Regions of accounts that have clusters in several.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stackset.html
func (h *hubStack) newStackSet(template string) {
	if h.config.StackSet == nil {
		return
	}
	file := awss3assets.NewAsset(h.Stack, jsii.String("AccessTemplate"), &awss3assets.AssetProps{Path: jsii.String(template)})
	homes := h.stackSetOf("access", file, func(p config.Place) bool { return p.Home })
	others := h.stackSetOf("access-other-regions", file, func(p config.Place) bool { return !p.Home })
	if others != nil {
		others.AddResourceDependency(homes, jsii.String("EKS refuses an entry for a role that is not there"))
	}
}

func (h *hubStack) stackSetOf(part string, template awss3assets.Asset, wanted func(config.Place) bool) awscdk.CfnStackSet {
	instances := h.stackInstances(wanted)
	if len(instances) == 0 {
		return nil
	}
	return awscdk.NewCfnStackSet(h.Stack, jsii.String("StackSet-"+part), &awscdk.CfnStackSetProps{
		StackSetName:     h.name(part),
		Description:      jsii.String("Gives the crossapply workflow access to the clusters of target accounts."),
		TemplateUrl:      template.HttpUrl(),
		Capabilities:     texts("CAPABILITY_NAMED_IAM"),
		PermissionModel:  jsii.String("SERVICE_MANAGED"),
		CallAs:           jsii.String(h.config.StackSet.CallAs),
		ManagedExecution: map[string]any{"Active": true},
		// Only the accounts of the configuration: a new account of the
		// organisation gives no access by itself.
		AutoDeployment: &awscdk.CfnStackSet_AutoDeploymentProperty{Enabled: jsii.Bool(false)},
		OperationPreferences: &awscdk.CfnStackSet_OperationPreferencesProperty{
			RegionConcurrencyType:   jsii.String("PARALLEL"),
			MaxConcurrentPercentage: jsii.Number(100),
			// One account that is in trouble does not keep the others out.
			FailureTolerancePercentage: jsii.Number(100),
		},
		StackInstancesGroup: instances,
	})
}

// stackInstances lists which accounts get the template, by Region.
func (h *hubStack) stackInstances(wanted func(config.Place) bool) []*awscdk.CfnStackSet_StackInstancesProperty {
	accounts := map[string][]string{}
	for _, place := range h.config.Places() {
		if wanted(place) {
			accounts[place.Region] = append(accounts[place.Region], place.Account)
		}
	}
	var groups []*awscdk.CfnStackSet_StackInstancesProperty
	for _, region := range slices.Sorted(maps.Keys(accounts)) {
		groups = append(groups, &awscdk.CfnStackSet_StackInstancesProperty{
			Regions: texts(region),
			DeploymentTargets: &awscdk.CfnStackSet_DeploymentTargetsProperty{
				OrganizationalUnitIds: texts(h.config.StackSet.OrganizationalUnitIDs...),
				AccountFilterType:     jsii.String("INTERSECTION"),
				Accounts:              texts(accounts[region]...),
			},
		})
	}
	return groups
}
