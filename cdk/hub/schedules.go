package hub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsscheduler"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/cdk/config"
)

// idempotencyKey is the same for every delivery of one scheduled start, and of
// no other: EventBridge Scheduler fills the placeholders in. Its execution-id
// would not do, since every attempt has another one.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
const idempotencyKey = "<aws.scheduler.schedule-arn>/<aws.scheduler.scheduled-time>"

// newSchedules makes the schedules, and returns their dead-letter queue, or nil
// where there is no schedule.
func (h *hubStack) newSchedules(w workflow) (awssqs.Queue, error) {
	if len(h.config.Schedules) == 0 {
		return nil, nil
	}
	deadLetters := h.newDeadLetters()
	group := awsscheduler.NewCfnScheduleGroup(h.Stack, jsii.String("Schedules"), &awsscheduler.CfnScheduleGroupProps{
		Name: jsii.String(h.config.Name),
	})
	role := h.newRole("ScheduleRole", "schedule", "EventBridge Scheduler, when it starts the workflow.",
		h.service("scheduler.amazonaws.com", h.arn("scheduler", "schedule-group/"+h.config.Name)))
	role.AddToPolicy(w.startLive())
	role.AddToPolicy(allow([]string{"sqs:SendMessage"}, *deadLetters.QueueArn()))
	for _, statement := range h.startEncrypted() {
		role.AddToPolicy(statement)
	}
	h.useKey(role, "sqs", "kms:Decrypt", "kms:GenerateDataKey")
	// Below a construct of their own, logical ids carry a hash: names may differ
	// in nothing but a hyphen.
	scope := constructs.NewConstruct(h.Stack, jsii.String("Schedule"))
	for _, s := range h.config.Schedules {
		schedule, err := h.newSchedule(scope, s, w, role, deadLetters)
		if err != nil {
			return nil, err
		}
		schedule.SetGroupName(group.Ref())
		// The role must be able to start before the first start.
		schedule.Node().AddDependency(role)
	}
	return deadLetters, nil
}

func (h *hubStack) newSchedule(scope constructs.Construct, s config.Schedule, w workflow, role awsiam.Role, deadLetters awssqs.Queue) (awsscheduler.CfnSchedule, error) {
	input, err := input(s)
	if err != nil {
		return nil, fmt.Errorf("schedule %s: %w", s.Name, err)
	}
	window := &awsscheduler.CfnSchedule_FlexibleTimeWindowProperty{Mode: jsii.String("OFF")}
	if s.FlexibleWindowMinutes > 0 {
		window.Mode, window.MaximumWindowInMinutes = jsii.String("FLEXIBLE"), jsii.Number(s.FlexibleWindowMinutes)
	}
	state := "ENABLED"
	if s.Disabled {
		state = "DISABLED"
	}
	return awsscheduler.NewCfnSchedule(scope, jsii.String(s.Name), &awsscheduler.CfnScheduleProps{
		Name:                       jsii.String(s.Name),
		ScheduleExpression:         jsii.String(s.Expression),
		ScheduleExpressionTimezone: jsii.String(s.TimeZone),
		FlexibleTimeWindow:         window,
		State:                      jsii.String(state),
		Target: &awsscheduler.CfnSchedule_TargetProperty{
			Arn:              w.alias.AttrArn(),
			RoleArn:          role.RoleArn(),
			Input:            jsii.String(input),
			DeadLetterConfig: &awsscheduler.CfnSchedule_DeadLetterConfigProperty{Arn: deadLetters.QueueArn()},
			RetryPolicy: &awsscheduler.CfnSchedule_RetryPolicyProperty{
				MaximumRetryAttempts:     jsii.Number(*s.MaximumRetryAttempts),
				MaximumEventAgeInSeconds: jsii.Number(s.MaximumEventAgeSeconds),
			},
		},
	}), nil
}

// input returns the request with the idempotencyKey in it. The brackets of the
// placeholders must stay as they are: Scheduler does not know \u003c.
func input(s config.Schedule) (string, error) {
	var request map[string]any
	decoder := json.NewDecoder(bytes.NewReader(s.Request))
	decoder.UseNumber()
	if err := decoder.Decode(&request); err != nil {
		return "", fmt.Errorf("its request: %w", err)
	}
	request["idempotencyKey"] = idempotencyKey
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(request); err != nil {
		return "", fmt.Errorf("its request: %w", err)
	}
	return strings.TrimSpace(text.String()), nil
}

// newDeadLetters makes the queue for starts that were given up.
func (h *hubStack) newDeadLetters() awssqs.Queue {
	props := &awssqs.QueueProps{
		QueueName:       h.name("schedule-dead-letters"),
		EnforceSSL:      jsii.Bool(true),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)),
	}
	if h.key != nil {
		props.Encryption, props.EncryptionMasterKey = awssqs.QueueEncryption_KMS, h.key
	}
	return awssqs.NewQueue(h.Stack, jsii.String("ScheduleDeadLetters"), props)
}
