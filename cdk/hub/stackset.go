package hub

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/jsii-runtime-go"
)

// newStackSet deploys the access template to every target account of an
// organisation, in the Regions of its clusters, one Region after another: an
// account's role must be there before its other Regions' entries.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stackset.html
func (h *hub) newStackSet(template string) {
	set := h.config.StackSet
	if set == nil {
		return
	}
	file := awss3assets.NewAsset(h.Stack, jsii.String("AccessTemplate"), &awss3assets.AssetProps{Path: jsii.String(template)})
	regions := texts(h.config.Regions()...)
	awscdk.NewCfnStackSet(h.Stack, jsii.String("Access"), &awscdk.CfnStackSetProps{
		StackSetName:     h.name("access"),
		Description:      jsii.String("Gives the crossapply workflow access to the clusters of target accounts."),
		TemplateUrl:      file.HttpUrl(),
		Capabilities:     texts("CAPABILITY_NAMED_IAM"),
		PermissionModel:  jsii.String("SERVICE_MANAGED"),
		CallAs:           jsii.String(set.CallAs),
		ManagedExecution: map[string]any{"Active": true},
		// Only the accounts of the configuration: a new account of the
		// organisation gives no access by itself.
		AutoDeployment: &awscdk.CfnStackSet_AutoDeploymentProperty{Enabled: jsii.Bool(false)},
		OperationPreferences: &awscdk.CfnStackSet_OperationPreferencesProperty{
			RegionConcurrencyType:      jsii.String("SEQUENTIAL"),
			RegionOrder:                regions,
			MaxConcurrentPercentage:    jsii.Number(100),
			FailureTolerancePercentage: jsii.Number(0),
		},
		StackInstancesGroup: h.stackInstances(set.OrganizationalUnitIDs),
	})
}

// stackInstances lists which accounts get the template in which Region.
func (h *hub) stackInstances(units []string) []*awscdk.CfnStackSet_StackInstancesProperty {
	accounts := map[string][]string{}
	for _, place := range h.config.Places() {
		accounts[place.Region] = append(accounts[place.Region], place.Account)
	}
	var groups []*awscdk.CfnStackSet_StackInstancesProperty
	for _, region := range h.config.Regions() {
		groups = append(groups, &awscdk.CfnStackSet_StackInstancesProperty{
			Regions: texts(region),
			DeploymentTargets: &awscdk.CfnStackSet_DeploymentTargetsProperty{
				OrganizationalUnitIds: texts(units...),
				AccountFilterType:     jsii.String("INTERSECTION"),
				Accounts:              texts(accounts[region]...),
			},
		})
	}
	return groups
}
