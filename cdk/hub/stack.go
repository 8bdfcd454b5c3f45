package hub

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/shared/regions"
)

// StackID is what the CDK calls the stack, in `cdk deploy` and cdk.out: the same
// whatever name the configuration gives it in AWS.
const StackID = "crossapply"

// Props is what the stack is made of.
type Props struct {
	Config config.Config
	// Definition is the path of rollout.asl.json.
	Definition string
	// Assets is the folder that holds plan.zip and the other functions' zips.
	Assets string
}

// hubStack is the stack while it is put together.
type hubStack struct {
	awscdk.Stack
	config config.Config
	// key is nil unless the deployment has a key of its own.
	key awskms.Key
	// bucket is the run bucket.
	bucket awss3.Bucket
}

// New makes the stack. It returns an error when a function's zip is missing.
func New(scope constructs.Construct, props Props) (awscdk.Stack, error) {
	if err := checkAssets(props.Assets); err != nil {
		return nil, err
	}
	c := props.Config
	h := &hubStack{config: c, Stack: awscdk.NewStack(scope, jsii.String(StackID), &awscdk.StackProps{
		StackName:             jsii.String(c.Name),
		Description:           jsii.String("crossapply: applies Kubernetes resources to EKS clusters in many accounts."),
		Env:                   &awscdk.Environment{Account: jsii.String(c.Hub.Account), Region: jsii.String(c.Hub.Region)},
		TerminationProtection: jsii.Bool(c.TerminationProtection),
	})}
	h.newKey()
	h.newBucket()
	functions := h.newFunctions(props.Assets)
	workflow := h.newWorkflow(props.Definition, functions)
	h.newCallers(workflow)
	h.newEvents()
	deadLetters, err := h.newSchedules(workflow)
	if err != nil {
		return nil, err
	}
	h.newObservability(workflow, functions, deadLetters)
	return h.Stack, nil
}

// name returns the deployment's name for a part of it.
func (h *hubStack) name(part string) *string { return jsii.String(h.config.Name + "-" + part) }

// arn returns the ARN of something in the hub's account and Region.
func (h *hubStack) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", regions.Partition(h.config.Hub.Region), service,
		h.config.Hub.Region, h.config.Hub.Account, resource)
}

// newRole makes a role of that part of the deployment, with the path and the
// boundary that all roles have.
func (h *hubStack) newRole(id, part, description string, by awsiam.IPrincipal) awsiam.Role {
	props := &awsiam.RoleProps{RoleName: h.name(part), Description: jsii.String(description), AssumedBy: by}
	if h.config.RolePath != "" {
		props.Path = jsii.String(h.config.RolePath)
	}
	if boundary := h.config.BoundaryARN(h.config.Hub.Account); boundary != "" {
		props.PermissionsBoundary = awsiam.ManagedPolicy_FromManagedPolicyArn(h.Stack, jsii.String(id+"Boundary"), jsii.String(boundary))
	}
	return awsiam.NewRole(h.Stack, jsii.String(id), props)
}

// allow returns a statement that allows actions on resources.
func allow(actions []string, resources ...string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: texts(actions...), Resources: texts(resources...)})
}

func texts(values ...string) *[]*string {
	list := make([]*string, len(values))
	for i, value := range values {
		list[i] = jsii.String(value)
	}
	return &list
}
