package hub

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/shared/runs"
)

// newKey makes the deployment's own key, where it wants one.
func (h *hubStack) newKey() {
	if !h.config.CustomerManagedKey {
		return
	}
	h.key = awskms.NewKey(h.Stack, jsii.String("Key"), &awskms.KeyProps{
		Alias:             jsii.String("alias/" + h.config.Name),
		Description:       jsii.String("Encrypts what the crossapply workflow stores."),
		EnableKeyRotation: jsii.Bool(true),
		// What it encrypted outlives the stack.
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	})
	// CloudWatch Logs uses the key itself, for log groups of this deployment only.
	// To KMS it is a principal of the Region, in the partition's own domain.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
	logs := "logs." + h.config.Hub.Region + "." + *h.UrlSuffix()
	h.key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String(logs), nil)},
		Actions:    texts("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"),
		Resources:  texts("*"),
		Conditions: &map[string]any{"ArnLike": map[string]any{"kms:EncryptionContext:aws:logs:arn": []string{
			h.arn("logs", "log-group:/aws/lambda/"+h.config.Name+"-*"),
			h.arn("logs", "log-group:"+stateLogs+h.config.Name),
		}}},
	}), jsii.Bool(true))
}

// newBucket makes the run bucket. Its objects are written once and expire, the
// reports later than the rest, and so need no versions.
func (h *hubStack) newBucket() {
	props := &awss3.BucketProps{
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		LifecycleRules:    h.expiry(),
		// The reports outlive the stack until they expire; a first deployment that
		// fails leaves nothing.
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN_ON_UPDATE_OR_DELETE,
	}
	if h.key != nil {
		props.Encryption, props.EncryptionKey, props.BucketKeyEnabled = awss3.BucketEncryption_KMS, h.key, jsii.Bool(true)
	}
	h.bucket = awss3.NewBucket(h.Stack, jsii.String("Runs"), props)
}

// expiry says how long objects stay, by the prefix of their keys.
func (h *hubStack) expiry() *[]*awss3.LifecycleRule {
	rules := []*awss3.LifecycleRule{{
		Id: jsii.String("uploads"), AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(1)),
	}}
	expire := func(prefix string, days int) {
		rules = append(rules, &awss3.LifecycleRule{
			Id: jsii.String(strings.TrimSuffix(prefix, "/")), Prefix: jsii.String(prefix), Expiration: awscdk.Duration_Days(jsii.Number(days)),
		})
	}
	for _, prefix := range runs.Temporary() {
		expire(prefix, h.config.RunDays)
	}
	expire(runs.Reports, h.config.ReportDays)
	return &rules
}

// objects returns the ARN of objects in the run bucket.
func (h *hubStack) objects(pattern string) string {
	return *h.bucket.ArnForObjects(jsii.String(pattern))
}

// useKey lets a role use the deployment's key, if it has one, through a service
// that encrypts with it: not to decrypt by itself what it got by another way.
// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
func (h *hubStack) useKey(role awsiam.Role, service string, actions ...string) {
	if h.key != nil {
		role.AddToPolicy(h.keyThrough(service, actions...))
	}
}

func (h *hubStack) keyThrough(service string, actions ...string) awsiam.PolicyStatement {
	use := allow(actions, *h.key.KeyArn())
	// The domain differs from partition to partition.
	use.AddCondition(jsii.String("StringLike"), map[string]any{"kms:ViaService": service + "." + h.config.Hub.Region + ".*"})
	return use
}

// startEncrypted returns what it takes to start and describe executions that
// are encrypted with the deployment's key.
// https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
func (h *hubStack) startEncrypted() []awsiam.PolicyStatement {
	if h.key == nil {
		return nil
	}
	return []awsiam.PolicyStatement{h.keyOfExecutions("kms:Decrypt", "kms:GenerateDataKey")}
}

// keyOfExecutions allows to use the deployment's key for what Step Functions
// encrypted with it.
func (h *hubStack) keyOfExecutions(actions ...string) awsiam.PolicyStatement {
	use := allow(actions, *h.key.KeyArn())
	use.AddCondition(jsii.String("StringEquals"), map[string]any{"kms:EncryptionContext:aws:states:stateMachineArn": h.machineARN()})
	return use
}
