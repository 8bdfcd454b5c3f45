package hub

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/shared/deployment"
)

// newEvents makes the topic that is told how executions go, where the configuration
// wants one, and the rules that tell it.
func (h *hubStack) newEvents() {
	if !h.config.Events.Topic {
		return
	}
	// Its ARN as a text, since its policy and the key's name it too.
	arn := h.arn("sns", *h.name("events"))
	props := &awssns.TopicProps{TopicName: h.name("events"), EnforceSSL: jsii.Bool(true)}
	if h.key != nil {
		props.MasterKey = h.key
		h.key.AddToResourcePolicy(fromEvents(arn), jsii.Bool(true))
	}
	topic := awssns.NewTopic(h.Stack, jsii.String("Events"), props)
	// EventBridge takes neither a role for a topic nor a condition in the topic's policy.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: eventBridge(), Actions: texts("sns:Publish"), Resources: texts(arn),
	}))
	h.newRule("Ended", "ended", topic, nil, deployment.EventPhaseEnded, deployment.EventExecutionEnded)
	h.newRule("Approvals", "approvals", topic, withoutToken(), deployment.EventApprovalRequested)
	h.output("EventTopicArn", topic.TopicArn(), "The topic that is told of phases, approvals and the ends of executions.")
}

func eventBridge() *[]awsiam.IPrincipal {
	return &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("events.amazonaws.com"), nil)}
}

// fromEvents lets EventBridge use a key for a topic that is encrypted with it. It says
// nothing of the rule when it does, so only the topic can be a condition.
// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
func fromEvents(topic string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: eventBridge(), Actions: texts("kms:Decrypt", "kms:GenerateDataKey*"), Resources: texts("*"),
		Conditions: &map[string]any{"StringEquals": map[string]any{"kms:EncryptionContext:aws:sns:topicArn": topic}},
	})
}

// newRule sends the workflow's events of some types to a topic: those of this
// deployment only, since others may send to the same bus.
func (h *hubStack) newRule(id, part string, topic awssns.Topic, as *awsevents.CfnRule_InputTransformerProperty, types ...string) {
	executions := strings.TrimSuffix(h.executions(), "*")
	awsevents.NewCfnRule(h.Stack, jsii.String(id), &awsevents.CfnRuleProps{
		Name:         h.name(part),
		EventBusName: jsii.String(h.config.Events.BusName),
		EventPattern: map[string]any{
			"source":      []string{deployment.EventSource},
			"detail-type": types,
			"detail":      map[string]any{"execution": []any{map[string]string{"prefix": executions}}},
		},
		Targets: &[]*awsevents.CfnRule_TargetProperty{{Id: jsii.String("topic"), Arn: topic.TopicArn(), InputTransformer: as}},
	})
}

// approvalDetail are the fields of a request for approval that may be sent to people:
// all but the task's token.
var approvalDetail = strings.Fields("execution operation resources labels plan dryRun total wave targets counts timeoutSeconds")

// withoutToken makes a message of a request for approval. In its template, what stands
// for a value has no quotes: EventBridge adds them around texts.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
func withoutToken() *awsevents.CfnRule_InputTransformerProperty {
	paths := map[string]string{"source": "$.source", "type": "$.detail-type", "time": "$.time"}
	var detail []string
	for _, name := range approvalDetail {
		paths[name] = "$.detail." + name
		detail = append(detail, fmt.Sprintf("%q: <%s>", name, name))
	}
	return &awsevents.CfnRule_InputTransformerProperty{
		InputPathsMap: pointers(paths),
		InputTemplate: jsii.String(`{"source": <source>, "detail-type": <type>, "time": <time>, "detail": {` + strings.Join(detail, ", ") + `}}`),
	}
}
