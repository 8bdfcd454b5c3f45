package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/cdk/config"
	"github.com/crossapply/crossapply/cdk/hub"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/shared/deployment"
)

// The names of a deployment.
const (
	hubAccount  = "111111111111"
	machineARN  = "arn:aws:states:eu-west-1:111111111111:stateMachine:crossapply"
	strangerARN = "arn:aws:iam::999999999999:role/crossapply-resolve"
	// Roles of somebody, each with the managed policy of its name attached.
	callerRole   = "caller"
	readerRole   = "reader"
	approverRole = "approver"
)

var people = []string{callerRole, readerRole, approverRole}

// world is the synthesised roles, alive: every trust policy and every policy is
// decided by the evaluation logic of the local world.
type world struct {
	*iam.Directory
	// here changes ARNs and hosts of eu-west-1, as these tests write them, to those
	// of the hub's partition, Region and path of roles.
	here *strings.Replacer
	hub  template
	// bucket is the ARN of the run bucket, and its policy.
	bucket       string
	bucketPolicy iam.Document
}

func newWorld(t *testing.T, s synthesis) world {
	t.Helper()
	w := world{hub: s.hub(t), Directory: iam.NewDirectory(time.Now, rand.Reader)}
	must(t, w.AddAccount(iam.Account{Partition: w.hub.partition(), ID: "999999999999"}))
	must(t, w.AddAccount(iam.Account{Partition: w.hub.partition(), ID: hubAccount, Organization: s.config.OrganizationID}))
	for _, account := range s.config.Accounts {
		must(t, w.AddAccount(iam.Account{Partition: w.hub.partition(), ID: account.ID, Organization: s.config.OrganizationID}))
	}
	w.here = strings.NewReplacer(":role/crossapply-", ":role"+cmp.Or(s.config.RolePath, "/")+"crossapply-", "arn:aws:", "arn:"+w.hub.partition()+":", ".eu-west-1.amazonaws.com", "."+w.hub.region+"."+w.hub.domain(), "eu-west-1", w.hub.region)
	w.put(t, w.hub)
	for _, account := range s.config.Accounts {
		w.put(t, s.role(t, account))
	}
	w.bucket = w.hub.text(t, w.hub.Outputs["RunBucketName"]["Value"])
	w.bucket = w.here.Replace("arn:aws:s3:::" + w.bucket)
	policy, err := iam.ParseResourcePolicy(w.hub.document(t, w.hub.only(t, "AWS::S3::BucketPolicy").Properties["PolicyDocument"]))
	must(t, err)
	w.bucketPolicy = policy
	for _, role := range people {
		must(t, w.PutRole(iam.Role{Partition: w.hub.partition(), Account: hubAccount, Name: role, Trust: trustedBy("states.amazonaws.com"), Policies: []string{w.hub.managedPolicy(t, role)}}))
	}
	// A role of the right name in another account, that may do anything there.
	must(t, w.PutRole(iam.Role{Partition: w.hub.partition(), Account: "999999999999", Name: strings.TrimPrefix(s.config.RolePath, "/") + "crossapply-resolve", Trust: trustedBy("lambda.amazonaws.com"),
		Policies: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}}))
	return w
}

func (w world) put(t *testing.T, from template) {
	t.Helper()
	for id, r := range from.Resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		must(t, w.PutRole(iam.Role{
			Partition: from.partition(), Account: from.account, Name: from.qualifiedName(t, r),
			Trust:    from.document(t, r.Properties["AssumeRolePolicyDocument"]),
			Policies: from.policiesOf(t, id),
		}))
	}
}

func trustedBy(service string) string {
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}}`
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantRefused(t *testing.T, what string, err error, allowed bool) {
	t.Helper()
	var denied *iam.AccessDeniedError
	switch {
	case allowed && err != nil:
		t.Errorf("%s: refused: %v", what, err)
	case !allowed && err == nil:
		t.Errorf("%s: allowed", what)
	case !allowed && !errors.As(err, &denied):
		t.Errorf("%s: %v", what, err)
	}
}

// as returns a session of a hub role as the service that uses it gets it.
func (w world) as(t *testing.T, role string) iam.Caller {
	t.Helper()
	person := slices.Contains(people, role)
	if person || role == "workflow" || role == "schedule" {
		// These services call as the role itself, here.
		name := "crossapply-" + role
		if person {
			name = role
		}
		caller, err := w.RoleCaller(w.here.Replace("arn:aws:iam::" + hubAccount + ":role/" + name))
		must(t, err)
		return caller
	}
	session, err := w.AssumeRoleForService("lambda.amazonaws.com", w.here.Replace("arn:aws:iam::"+hubAccount+":role/crossapply-"+role),
		"sandbox", w.here.Replace(function(role)))
	must(t, err)
	return session.Caller
}

// act is something that a role of the hub does or must not be able to do.
type act struct {
	role, action, resource string
	keys                   iam.Conditions
}

func function(name string) string {
	return "arn:aws:lambda:eu-west-1:111111111111:function:crossapply-" + name
}

const (
	childOfDiscovery = "arn:aws:states:eu-west-1:111111111111:execution:crossapply/Account:7f3"
	child            = "arn:aws:states:eu-west-1:111111111111:execution:crossapply/Target:7f3"
	parent           = "arn:aws:states:eu-west-1:111111111111:execution:crossapply:nightly"
	mapRun           = "arn:aws:states:eu-west-1:111111111111:mapRun:crossapply/Target:7f3"
	rule             = "arn:aws:events:eu-west-1:111111111111:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
)

// byAlias is what IAM sees of a start by an alias or a version, beside the
// state machine's own ARN.
func byAlias(qualifier string) iam.Conditions {
	return iam.Conditions{"states:StateMachineQualifier": {qualifier}}
}

func logStream(function string) string {
	return "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/crossapply-" + function + ":log-stream:1"
}

// needed is what the workflow does.
func (w world) needed() []act {
	b := w.bucket
	all := []act{
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/resources.json"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/layout.json"},
		{role: "plan", action: "s3:GetObject", resource: b + "/runs/e1/layout.json"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/accounts.json"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/items/wave-1.json"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/marks/failed/0/222222222222"},
		{role: "plan", action: "s3:GetObject", resource: b + "/inputs/teams/orders.yaml"},
		{role: "plan", action: "s3:GetObject", resource: b + "/runs/e1/discovered/222222222222.json"},
		{role: "plan", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/discovered/"}}},
		{role: "plan", action: "s3:GetObject", resource: b + "/runs/e1/listing/7f/manifest.json"},
		{role: "plan", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/listing/"}}},
		{role: "plan", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/journal/"}}},
		{role: "plan", action: "s3:PutObject", resource: b + "/claims/abc"},
		{role: "plan", action: "s3:GetObject", resource: b + "/claims/abc"},
		{role: "plan", action: "s3:PutObject", resource: b + "/locks/abc"},
		{role: "plan", action: "s3:GetObject", resource: b + "/locks/abc"},
		{role: "plan", action: "s3:GetObject", resource: b + "/runs/e1/request.json"},
		{role: "plan", action: "s3:GetObject", resource: b + "/runs/e1/plan.json"},
		{role: "plan", action: "s3:GetObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: "plan", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"reports/2026-11-25/e1.json"}}},
		{role: "plan", action: "states:DescribeExecution", resource: parent},
		{role: "discover", action: "s3:PutObject", resource: b + "/runs/e1/discovered/222222222222.json"},
		{role: "resolve", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/marks/"}}},
		{role: "apply", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: "apply", action: "s3:PutObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "apply", action: "s3:GetObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "apply", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/journal/222222222222/eu-west-1/payments/"}}},
		{role: "apply", action: "s3:PutObject", resource: b + "/reports/2026-11-25/e1/222222222222/eu-west-1/payments/0.json"},
		{role: "poll", action: "s3:GetObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "review", action: "s3:GetObject", resource: b + "/runs/e1/layout.json"},
		{role: "review", action: "s3:GetObject", resource: b + "/runs/e1/results/1/7f/manifest.json"},
		{role: "review", action: "s3:PutObject", resource: b + "/runs/e1/phases/1.json"},
		{role: "review", action: "s3:GetObject", resource: b + "/runs/e1/phases/1.json"},
		{role: "review", action: "s3:GetObject", resource: b + "/runs/e1/items/wave-1.json"},
		{role: "review", action: "s3:PutObject", resource: b + "/runs/e1/items/2.json"},
		{role: "review", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/marks/"}}},
		{role: "report", action: "s3:GetObject", resource: b + "/runs/e1/layout.json"},
		{role: "report", action: "s3:GetObject", resource: b + "/runs/e1/phases/1.json"},
		{role: "report", action: "s3:GetObject", resource: b + "/runs/e1/results/1/7f/manifest.json"},
		{role: "report", action: "s3:PutObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: "report", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/results/1/"}}},
		{role: "report", action: "s3:GetObject", resource: b + "/reports/2026-11-25/e1/222222222222/eu-west-1/payments/0.json"},
		{role: "workflow", action: "states:StartExecution", resource: machineARN},
		{role: "workflow", action: "states:DescribeExecution", resource: child},
		{role: "workflow", action: "states:DescribeExecution", resource: childOfDiscovery},
		{role: "workflow", action: "states:StopExecution", resource: childOfDiscovery},
		{role: "workflow", action: "states:DescribeExecution", resource: parent},
		{role: "workflow", action: "states:StopExecution", resource: child},
		{role: "workflow", action: "s3:GetObject", resource: b + "/runs/e1/accounts.json"},
		{role: "workflow", action: "s3:GetObject", resource: b + "/runs/e1/items/wave-1.json"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/listing/7f/SUCCEEDED_0.json"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/results/1/7f/SUCCEEDED_0.json"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/marks/failed/1/222222222222/eu-west-1/payments"},
		{role: "workflow", action: "logs:CreateLogDelivery", resource: "*"},
		{role: callerRole, action: "states:StartExecution", resource: machineARN, keys: byAlias("live")},
		{role: callerRole, action: "states:DescribeExecution", resource: parent},
		{role: callerRole, action: "states:StopExecution", resource: parent},
		{role: callerRole, action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
		{role: callerRole, action: "s3:GetObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: approverRole, action: "states:SendTaskSuccess", resource: machineARN},
		{role: approverRole, action: "states:SendTaskFailure", resource: machineARN},
		{role: approverRole, action: "states:ListExecutions", resource: machineARN},
		{role: approverRole, action: "states:DescribeExecution", resource: parent},
		{role: approverRole, action: "states:GetExecutionHistory", resource: parent},
		{role: callerRole, action: "events:PutRule", resource: rule},
		{role: callerRole, action: "events:PutTargets", resource: rule},
		{role: callerRole, action: "events:DescribeRule", resource: rule},
	}
	for action, resource := range map[string]string{
		"states:DescribeStateMachine": machineARN + ":3", "states:ListExecutions": machineARN, "states:ListStateMachineVersions": machineARN,
		"states:DescribeExecution": parent, "states:GetExecutionHistory": child, "states:ListMapRuns": parent, "states:DescribeMapRun": mapRun,
		"s3:GetObject": b + "/reports/2026-11-25/e1.json",
	} {
		all = append(all, act{role: readerRole, action: action, resource: resource})
	}
	all = append(all, act{role: readerRole, action: "states:ListExecutions", resource: mapRun},
		act{role: readerRole, action: "states:GetExecutionHistory", resource: childOfDiscovery},
		act{role: readerRole, action: "states:DescribeMapRun", resource: strings.Replace(mapRun, "/Target:", "/Account:", 1)},
		act{role: readerRole, action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"reports/2026-11-25/"}}})
	for _, name := range deployment.FunctionNames() {
		all = append(all,
			act{role: "workflow", action: "lambda:InvokeFunction", resource: function(name) + ":7"},
			act{role: name, action: "logs:CreateLogStream", resource: logStream(name)},
			act{role: name, action: "logs:PutLogEvents", resource: logStream(name)},
			act{role: name, action: "xray:PutTraceSegments", resource: "*"},
		)
	}
	return all
}

// forbidden is what must not be possible.
func (w world) forbidden() []act {
	b := w.bucket
	all := []act{
		{role: "plan", action: "s3:GetObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "plan", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/"}}},
		{role: "plan", action: "states:DescribeExecution", resource: "arn:aws:states:eu-west-1:111111111111:execution:other:1"},
		{role: "plan", action: "states:StopExecution", resource: parent},
		{role: "plan", action: "s3:PutObject", resource: b + "/elsewhere"},
		{role: "plan", action: "s3:PutObject", resource: b + "/inputs/orders.yaml"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/marks/failed/1/222222222222/eu-west-1/payments"},
		{role: "apply", action: "s3:PutObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/discovered/222222222222.json"},
		{role: "plan", action: "organizations:DescribeOrganization", resource: "*"},
		{role: "plan", action: "organizations:ListAccountsForParent", resource: "arn:aws:organizations::777777777777:ou/o-zzzzzzzzzz/policy-1"},
		{role: "discover", action: "s3:GetObject", resource: b + "/runs/e1/discovered/222222222222.json"},
		{role: "discover", action: "s3:PutObject", resource: b + "/runs/e1/accounts.json"},
		{role: "discover", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: "discover", action: "organizations:ListAccountsForParent", resource: "arn:aws:organizations::777777777777:root/o-a1b2c3d4e5/r-ab12"},
		{role: "review", action: "s3:PutObject", resource: b + "/runs/e1/layout.json"},
		{role: "review", action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
		{role: "review", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: "review", action: "s3:GetObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "review", action: "s3:PutObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: "review", action: "states:DescribeExecution", resource: parent},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "plan", action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
		{role: "plan", action: "s3:PutObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: "report", action: "s3:GetObject", resource: b + "/runs/e1/request.json"},
		{role: "report", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: readerRole, action: "s3:GetObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "plan", action: "s3:DeleteObject", resource: b + "/claims/abc"},
		{role: "plan", action: "s3:PutObject", resource: "arn:aws:s3:::another-bucket/runs/e1/layout.json"},
		{role: "plan", action: "sts:AssumeRole", resource: "arn:aws:iam::222222222222:role/crossapply-access"},
		{role: "resolve", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: "resolve", action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
		{role: "resolve", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/e1/journal/"}}},
		{role: "poll", action: "s3:PutObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/journal/222222222222/eu-west-1/payments/0.json"},
		{role: callerRole, action: "s3:PutObject", resource: b + "/runs/e1/marks/failed/1/222222222222/eu-west-1/payments"},
		{role: "apply", action: "s3:GetObject", resource: b + "/runs/e1/items/wave-1.json"},
		{role: "apply", action: "s3:PutObject", resource: b + "/runs/e1/resources.json"},
		{role: "poll", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: "report", action: "s3:PutObject", resource: b + "/runs/e1/layout.json"},
		{role: "report", action: "s3:GetObject", resource: b + "/claims/abc"},
		{role: "report", action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"claims/"}}},
		{role: "report", action: "s3:ListBucket", resource: b},
		{role: "report", action: "sts:AssumeRole", resource: "arn:aws:iam::222222222222:role/crossapply-access"},
		{role: "plan", action: "logs:PutLogEvents", resource: logStream("poll")},
		{role: "poll", action: "lambda:InvokeFunction", resource: function("apply")},
		{role: "workflow", action: "lambda:InvokeFunction", resource: "arn:aws:lambda:eu-west-1:111111111111:function:payroll"},
		{role: "workflow", action: "lambda:InvokeFunction", resource: function("plan") + "-copy:1"},
		{role: "workflow", action: "lambda:InvokeFunction", resource: function("plan")},
		{role: "workflow", action: "lambda:UpdateFunctionCode", resource: function("plan")},
		{role: "workflow", action: "states:StartExecution", resource: machineARN + "-other"},
		{role: "workflow", action: "states:StopExecution", resource: "arn:aws:states:eu-west-1:111111111111:execution:other:1"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/items/wave-1.json"},
		{role: "workflow", action: "s3:PutObject", resource: b + "/runs/e1/accounts.json"},
		{role: "workflow", action: "events:PutEvents", resource: "arn:aws:events:eu-west-1:111111111111:event-bus/other"},
		{role: "workflow", action: "states:SendTaskSuccess", resource: machineARN},
		{role: "workflow", action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: "workflow", action: "sts:AssumeRole", resource: "arn:aws:iam::222222222222:role/crossapply-access"},
		{role: callerRole, action: "states:StartExecution", resource: machineARN},
		{role: callerRole, action: "states:StartExecution", resource: machineARN, keys: byAlias("1")},
		{role: callerRole, action: "states:StartExecution", resource: machineARN + "-other", keys: byAlias("live")},
		{role: callerRole, action: "states:UpdateStateMachine", resource: machineARN},
		{role: callerRole, action: "states:StopExecution", resource: "arn:aws:states:eu-west-1:111111111111:execution:other:1"},
		{role: callerRole, action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: callerRole, action: "s3:PutObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: callerRole, action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"reports/"}}},
		{role: callerRole, action: "states:GetExecutionHistory", resource: parent},
		{role: readerRole, action: "s3:GetObject", resource: b + "/runs/e1/resources.json"},
		{role: readerRole, action: "s3:ListBucket", resource: b, keys: iam.Conditions{"s3:prefix": {"runs/"}}},
		{role: readerRole, action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
		{role: readerRole, action: "states:StartExecution", resource: machineARN, keys: byAlias("live")},
		{role: readerRole, action: "states:StopExecution", resource: parent},
		{role: readerRole, action: "states:DescribeExecution", resource: "arn:aws:states:eu-west-1:111111111111:execution:other:1"},
		{role: readerRole, action: "states:UpdateStateMachineAlias", resource: machineARN + ":live"},
		{role: callerRole, action: "lambda:InvokeFunction", resource: function("apply")},
		{role: approverRole, action: "states:SendTaskSuccess", resource: machineARN + "-other"},
		{role: approverRole, action: "states:StartExecution", resource: machineARN, keys: byAlias("live")},
		{role: approverRole, action: "states:StopExecution", resource: parent},
		{role: approverRole, action: "states:GetExecutionHistory", resource: child},
		{role: approverRole, action: "states:GetExecutionHistory", resource: "arn:aws:states:eu-west-1:111111111111:execution:other:1"},
		{role: approverRole, action: "s3:GetObject", resource: b + "/reports/2026-11-25/e1.json"},
		{role: approverRole, action: "s3:PutObject", resource: b + "/runs/e1/marks/STOP"},
	}
	// Who starts or looks does not approve, and what a function's role is good for does not
	// help.
	for _, role := range append(deployment.FunctionNames(), callerRole, readerRole) {
		for _, action := range []string{"states:SendTaskSuccess", "states:SendTaskFailure", "events:PutEvents"} {
			all = append(all, act{role: role, action: action, resource: machineARN})
		}
	}
	for _, name := range functionsThat(assumeRoles) {
		all = append(all,
			act{role: name, action: "sts:AssumeRole", resource: "arn:aws:iam::222222222222:role/admin"},
			act{role: name, action: "sts:AssumeRole", resource: "arn:aws:iam::222222222222:role/crossapply-access-2"},
			act{role: name, action: "sts:AssumeRole", resource: "arn:aws:iam::444444444444:role/crossapply-access"},
			act{role: name, action: "eks:DescribeCluster", resource: "arn:aws:eks:eu-west-1:111111111111:cluster/hub"},
		)
	}
	return all
}

func (w world) decide(t *testing.T, a act) error {
	t.Helper()
	request := iam.Request{Caller: w.as(t, a.role), Action: a.action, Resource: w.here.Replace(a.resource), Conditions: iam.Conditions{}}
	for key, values := range a.keys {
		for _, value := range values {
			request.Conditions[key] = append(request.Conditions[key], w.here.Replace(value))
		}
	}
	if strings.HasPrefix(a.action, "organizations:") {
		// A delegated administrator asks about what lies in the management account: who
		// that is, is not a matter of policies.
		request.ResourceAccount = hubAccount
	}
	if strings.HasPrefix(a.resource, w.bucket) {
		request.ResourceAccount, request.ResourcePolicy = hubAccount, &w.bucketPolicy
	}
	return w.Authorize(request)
}

func testIAM(t *testing.T, s synthesis) {
	w := newWorld(t, s)
	acts, refusals := w.needed(), w.forbidden()
	if len(s.config.Schedules) > 0 {
		queue := "arn:aws:sqs:eu-west-1:111111111111:crossapply-schedule-dead-letters"
		acts = append(acts, act{role: "schedule", action: "states:StartExecution", resource: machineARN, keys: byAlias("live")},
			act{role: "schedule", action: "sqs:SendMessage", resource: queue})
		refusals = append(refusals, act{role: "schedule", action: "states:StartExecution", resource: machineARN + "-other", keys: byAlias("live")},
			act{role: "schedule", action: "states:StartExecution", resource: machineARN},
			act{role: "schedule", action: "sqs:ReceiveMessage", resource: queue},
			act{role: "schedule", action: "lambda:InvokeFunction", resource: function("apply")})
	}
	more, not := w.withConfigured(s.config)
	acts, refusals = append(acts, more...), append(refusals, not...)
	if s.config.CustomerManagedKey {
		more, not := w.withKey()
		acts, refusals = append(acts, more...), append(refusals, not...)
	}
	if s.config.VPC != nil {
		for _, name := range functionsThat(reachClusters) {
			const action = "ec2:CreateNetworkInterface"
			acts = append(acts, act{role: name, action: action, resource: "*"})
			// The same from the function's own code.
			refusals = append(refusals, act{role: name, action: action, resource: "*", keys: iam.Conditions{"lambda:SourceFunctionArn": {function(name)}}})
			for _, network := range s.config.Networks {
				inNetwork := name + "-" + network.Name
				acts = append(acts, act{role: "workflow", action: "lambda:InvokeFunction", resource: function(inNetwork) + ":7"},
					act{role: name, action: "logs:PutLogEvents", resource: logStream(inNetwork)})
				refusals = append(refusals, act{role: name, action: action, resource: "*", keys: iam.Conditions{"lambda:SourceFunctionArn": {function(inNetwork)}}})
			}
		}
	}
	for _, a := range acts {
		wantRefused(t, fmt.Sprint("needed: ", a), w.decide(t, a), true)
	}
	for _, a := range refusals {
		wantRefused(t, fmt.Sprint("forbidden: ", a), w.decide(t, a), false)
	}
	// TLS only, whoever asks.
	insecure := iam.Request{Caller: w.as(t, "apply"), Action: "s3:GetObject", Resource: w.bucket + "/runs/e1/resources.json",
		ResourceAccount: hubAccount, ResourcePolicy: &w.bucketPolicy, Conditions: iam.Conditions{"aws:SecureTransport": {"false"}}}
	wantRefused(t, "reading the bucket without TLS", w.Authorize(insecure), false)
	testTrust(t, w)
	testCallerRole(t, w, s)
	testAssume(t, w, s)
}

// withConfigured is what depends on single keys of the configuration: the event bus, and
// whether the organisation may be listed.
func (w world) withConfigured(c config.Config) (needed, forbidden []act) {
	needed = append(needed, act{role: "workflow", action: "events:PutEvents", resource: "arn:aws:events:eu-west-1:111111111111:event-bus/" + c.Events.BusName})
	organization := cmp.Or(c.OrganizationID, "o-zzzzzzzzzz")
	for _, action := range []string{"organizations:ListAccountsForParent", "organizations:ListOrganizationalUnitsForParent"} {
		for _, parent := range []string{"root/" + organization + "/r-ab12", "ou/" + organization + "/ou-ab12-11111111"} {
			list := act{role: "plan", action: action, resource: "arn:aws:organizations::777777777777:" + parent}
			if c.Organizations {
				needed = append(needed, list)
			} else {
				forbidden = append(forbidden, list)
			}
		}
	}
	return needed, forbidden
}

// withKey is what may and must not be done with the deployment's key: each role
// uses it through the services that encrypt what the role works with.
func (w world) withKey() (needed, forbidden []act) {
	key := "arn:aws:kms:eu-west-1:111111111111:key/"
	for id, r := range w.hub.Resources {
		if r.Type == "AWS::KMS::Key" {
			key += id
		}
	}
	via := func(service string) iam.Conditions {
		return iam.Conditions{"kms:ViaService": {service + ".eu-west-1.amazonaws.com"}}
	}
	started := func(machine string) iam.Conditions {
		return iam.Conditions{"kms:EncryptionContext:aws:states:stateMachineArn": {machine}, "kms:ViaService": {"states.eu-west-1.amazonaws.com"}}
	}
	const decrypt, encrypt, generate = "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"
	add := func(acts *[]act, role string, keys iam.Conditions, actions ...string) {
		for _, action := range actions {
			*acts = append(*acts, act{role: role, action: action, resource: key, keys: keys})
		}
	}
	add(&needed, "workflow", via("s3"), decrypt, encrypt, generate)
	for _, role := range []string{"workflow", "schedule", callerRole} {
		add(&needed, role, started(machineARN), decrypt, generate)
		add(&forbidden, role, started(machineARN+"-other"), decrypt, generate)
	}
	add(&needed, "schedule", via("sqs"), decrypt, generate)
	add(&forbidden, "schedule", via("s3"), decrypt, generate)
	add(&needed, callerRole, via("s3"), decrypt, generate)
	add(&needed, readerRole, via("s3"), decrypt)
	add(&needed, readerRole, started(machineARN), decrypt)
	add(&forbidden, readerRole, via("s3"), generate)
	add(&forbidden, readerRole, started(machineARN), generate)
	// A repeat of an idempotency key describes the first execution whole.
	add(&needed, "plan", started(machineARN), decrypt)
	add(&forbidden, "plan", started(machineARN), generate)
	add(&forbidden, "plan", started(machineARN+"-other"), decrypt)
	add(&needed, approverRole, started(machineARN), decrypt)
	add(&forbidden, approverRole, started(machineARN), generate)
	add(&forbidden, approverRole, via("s3"), decrypt)
	for _, role := range []string{"plan", "apply", "review", "report"} {
		add(&needed, role, via("s3"), decrypt, generate)
		add(&forbidden, role, via("s3"), encrypt)
	}
	add(&needed, "poll", via("s3"), decrypt)
	add(&forbidden, "poll", via("s3"), encrypt, generate)
	for _, role := range functionsThat(haveEnvironment) {
		add(&needed, role, via("lambda"), decrypt)
	}
	add(&forbidden, "resolve", via("s3"), decrypt, encrypt, generate)
	for _, role := range slices.Concat(deployment.FunctionNames(), people, []string{"workflow", "schedule"}) {
		add(&forbidden, role, nil, decrypt, encrypt, generate, "kms:ScheduleKeyDeletion")
	}
	return needed, forbidden
}

// Services may take the roles, but only those they are for.
func testTrust(t *testing.T, w world) {
	check := func(what, service, role, source string, allowed bool) {
		err := w.CheckTrust(service, w.here.Replace("arn:aws:iam::"+hubAccount+":role/crossapply-"+role), w.here.Replace(source))
		wantRefused(t, what, err, allowed)
	}
	check("Step Functions takes the workflow's role", "states.amazonaws.com", "workflow", machineARN, true)
	check("another account's machine takes it", "states.amazonaws.com", "workflow", strings.ReplaceAll(machineARN, hubAccount, "999999999999"), false)
	check("Lambda takes the workflow's role", "lambda.amazonaws.com", "workflow", function("plan"), false)
	check("EC2 takes a function's role", "ec2.amazonaws.com", "apply", "arn:aws:ec2:eu-west-1:111111111111:instance/i-1", false)
	if len(w.hub.ofType("AWS::Scheduler::Schedule")) == 0 {
		return
	}
	group := "arn:aws:scheduler:eu-west-1:111111111111:schedule-group/"
	check("Scheduler takes its role", "scheduler.amazonaws.com", "schedule", group+"crossapply", true)
	check("another schedule group takes it", "scheduler.amazonaws.com", "schedule", group+"default", false)
}

// Those whom the configuration names may assume the callers' role, with the external
// id, and then do what callers may.
func testCallerRole(t *testing.T, w world, s synthesis) {
	if s.config.CallerRole == nil {
		return
	}
	role, external := "arn:aws:iam::"+hubAccount+":role/crossapply-caller", s.config.CallerRole.ExternalID
	const assume = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`
	for _, test := range []struct {
		account, name string
		id            *string
		allowed       bool
	}{
		{"444444444444", "anybody", &external, true},
		{"444444444444", "anybody", nil, false},
		{"555555555555", "teams/pipeline", &external, true},
		{"555555555555", "teams/pipeline", nil, false},
		{"555555555555", "pipeline", &external, false},
		{"999999999999", "teams/pipeline", &external, false},
	} {
		must(t, w.AddAccount(iam.Account{ID: test.account}))
		who := iam.Role{Account: test.account, Name: test.name, Trust: trustedBy("ec2.amazonaws.com"), Policies: []string{assume}}
		must(t, w.PutRole(who))
		caller, err := w.RoleCaller(who.ARN())
		must(t, err)
		session, err := w.AssumeRole(caller, iam.AssumeRoleInput{RoleARN: role, SessionName: "ci", ExternalID: test.id})
		wantRefused(t, fmt.Sprintf("%s assumes the callers' role, with an external id: %v", who.ARN(), test.id != nil), err, test.allowed)
		if err == nil {
			start := iam.Request{Caller: session.Caller, Action: "states:StartExecution", Resource: machineARN, Conditions: byAlias("live")}
			wantRefused(t, who.ARN()+" starts the workflow", w.Authorize(start), true)
		}
	}
}

// testAssume assumes the access roles, and does with them what may be done.
func testAssume(t *testing.T, w world, s synthesis) {
	external, previous, wrong := s.config.ExternalID, s.config.PreviousExternalID, "wrong"
	for _, account := range s.config.Accounts {
		role := w.here.Replace("arn:aws:iam::" + account.ID + ":role/crossapply-access")
		for _, name := range functionsThat(assumeRoles) {
			session, err := w.AssumeRole(w.as(t, name), iam.AssumeRoleInput{RoleARN: role, SessionName: "e1", ExternalID: &external})
			wantRefused(t, name+" assumes "+role, err, true)
			testClusters(t, w, session.Caller, account, s.config)
			if previous != "" {
				_, err := w.AssumeRole(w.as(t, name), iam.AssumeRoleInput{RoleARN: role, SessionName: "e1", ExternalID: &previous})
				wantRefused(t, name+" assumes "+role+" with the external id that was", err, true)
			}
			_, err = w.AssumeRole(w.as(t, name), iam.AssumeRoleInput{RoleARN: role, SessionName: "e1"})
			wantRefused(t, name+" assumes "+role+" without an external id", err, false)
			_, err = w.AssumeRole(w.as(t, name), iam.AssumeRoleInput{RoleARN: role, SessionName: "e1", ExternalID: &wrong})
			wantRefused(t, name+" assumes "+role+" with a wrong external id", err, false)
		}
		for _, name := range append([]string{"plan", "review", "report", "workflow"}, people...) {
			_, err := w.AssumeRole(w.as(t, name), iam.AssumeRoleInput{RoleARN: role, SessionName: "e1", ExternalID: &external})
			wantRefused(t, name+" assumes "+role, err, false)
		}
		stranger, err := w.RoleCaller(w.here.Replace(strangerARN))
		must(t, err)
		_, err = w.AssumeRole(stranger, iam.AssumeRoleInput{RoleARN: role, SessionName: "e1", ExternalID: &external})
		wantRefused(t, "another account's role of the same name assumes "+role, err, false)
	}
	// A person of the hub account with all rights there is no function either.
	must(t, w.PutUser(iam.User{Partition: w.hub.partition(), Account: hubAccount, Name: "administrator", AccessKeyID: "AKIAADMINISTRATOR", SecretAccessKey: "secret",
		Policies: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}}))
	credential, _ := w.Credential("AKIAADMINISTRATOR")
	_, err := w.AssumeRole(credential.Caller, iam.AssumeRoleInput{
		RoleARN: w.here.Replace("arn:aws:iam::222222222222:role/crossapply-access"), SessionName: "e1", ExternalID: &external})
	wantRefused(t, "an administrator of the hub assumes an access role", err, false)
}

// testClusters does what may be done with an account's role. The one that a
// StackSet deploys is the same in every account.
func testClusters(t *testing.T, w world, caller iam.Caller, account config.Account, c config.Config) {
	t.Helper()
	lists := account.Discovery
	if c.StackSet != nil {
		lists = c.Discovers()
	}
	may := func(action, resource string) error {
		return w.Authorize(iam.Request{Caller: caller, Action: action, Resource: w.here.Replace(resource)})
	}
	for _, cluster := range account.Clusters {
		arn := fmt.Sprintf("arn:aws:eks:%s:%s:cluster/%s", cluster.Region, account.ID, cluster.Name)
		wantRefused(t, "describing "+arn, may("eks:DescribeCluster", arn), true)
		wantRefused(t, "deleting "+arn, may("eks:DeleteCluster", arn), false)
		wantRefused(t, "giving oneself access to "+arn, may("eks:CreateAccessEntry", arn), false)
		wantRefused(t, "describing another account's "+cluster.Name, may("eks:DescribeCluster", strings.Replace(arn, account.ID, "999999999999", 1)), false)
	}
	other := "arn:aws:eks:eu-west-1:" + account.ID + ":cluster/other"
	wantRefused(t, "describing "+other, may("eks:DescribeCluster", other), lists || c.StackSet != nil)
	wantRefused(t, "listing clusters", may("eks:ListClusters", "*"), lists)
	wantRefused(t, "going on to another role", may("sts:AssumeRole", "arn:aws:iam::"+account.ID+":role/admin"), false)
}

// As many accounts as the roles' policies name, with the longest of names, do
// not break a limit of IAM; and more do not where the organisation is known.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func TestManyAccounts(t *testing.T) {
	c := load(t, "full.yaml")
	c.Accounts, c.Schedules, c.StackSet = nil, nil, nil
	c.AccessRoleName = strings.Repeat("r", 64)
	for i := range config.MaxNamedAccounts {
		c.Accounts = append(c.Accounts, config.Account{ID: fmt.Sprintf("%012d", 300000000000+i), Discovery: true})
	}
	org := iam.Conditions{"aws:ResourceOrgID": {"o-a1b2c3d4e5"}}
	t.Run("named", func(t *testing.T) { testManyAccounts(t, c, nil) })
	c.Accounts = append(c.Accounts, config.Account{ID: "999999999998", Discovery: true})
	c.OrganizationID = "o-a1b2c3d4e5"
	t.Run("organisation", func(t *testing.T) {
		poll := testManyAccounts(t, c, org)
		elsewhere := iam.Request{Caller: poll.Caller, Action: "sts:AssumeRole", Resource: "arn:aws:iam::999999999999:role/" + c.AccessRoleName,
			ResourceAccount: hubAccount, Conditions: iam.Conditions{"aws:ResourceOrgID": {"o-zzzzzzzzzz"}}}
		wantRefused(t, "assuming a role of another organisation", poll.Authorize(elsewhere), false)
		elsewhere.Conditions = nil
		wantRefused(t, "assuming a role of no organisation", poll.Authorize(elsewhere), false)
		elsewhere.Conditions, elsewhere.Resource = org, "arn:aws:iam::999999999999:role/admin"
		wantRefused(t, "assuming another role", poll.Authorize(elsewhere), false)
	})
}

// member is a role of the hub in a world.
type member struct {
	*iam.Directory
	iam.Caller
}

// testManyAccounts returns poll, after it could assume every access role.
func testManyAccounts(t *testing.T, c config.Config, keys iam.Conditions) member {
	app, dist := newApp(t, t.TempDir()), standIns(t)
	_, err := hub.New(app, hub.Props{Config: c, Definition: definitionFile, Assets: dist})
	must(t, err)
	s := synthesis{config: c, dir: *app.Synth(nil).Directory()}
	template := s.hub(t)
	for id, r := range template.Resources {
		if r.Type == "AWS::IAM::Role" {
			checkQuotas(t, template, id)
		}
	}
	w := iam.NewDirectory(time.Now, rand.Reader)
	must(t, w.AddAccount(iam.Account{ID: hubAccount}))
	world{Directory: w, hub: template}.put(t, template)
	caller, err := w.RoleCaller("arn:aws:iam::111111111111:role/crossapply-poll")
	must(t, err)
	for _, account := range c.Accounts {
		// Between accounts both sides must allow; the role's own side is asked for here.
		err := w.Authorize(iam.Request{Caller: caller, Action: "sts:AssumeRole", Conditions: keys,
			Resource: "arn:aws:iam::" + account.ID + ":role/" + c.AccessRoleName, ResourceAccount: hubAccount})
		wantRefused(t, "assuming the role of "+account.ID, err, true)
	}
	return member{Directory: w, Caller: caller}
}

// checkQuotas checks the policies of a role against IAM's quotas.
func checkQuotas(t *testing.T, template template, id string) {
	t.Helper()
	inline, managed := 0, 0
	for _, p := range template.Resources {
		if !strings.Contains(fmt.Sprint(p.Properties["Roles"]), id) {
			continue
		}
		size := len(template.document(t, p.Properties["PolicyDocument"]))
		switch p.Type {
		case "AWS::IAM::Policy":
			inline += size
		case "AWS::IAM::ManagedPolicy":
			managed++
			if size > 6_144 {
				t.Errorf("a managed policy of %s has %d characters", id, size)
			}
		}
	}
	if inline > 10_240 || managed > 10 {
		t.Errorf("%s: %d characters of inline policies, %d managed policies", id, inline, managed)
	}
}

// functionsThat returns the names of the functions of which something holds.
func functionsThat(holds func(deployment.Function) bool) []string {
	var names []string
	for _, f := range deployment.Functions() {
		if holds(f) {
			names = append(names, f.Name)
		}
	}
	return names
}

func assumeRoles(f deployment.Function) bool     { return f.AssumesRoles }
func reachClusters(f deployment.Function) bool   { return f.ReachesClusters }
func haveEnvironment(f deployment.Function) bool { return len(f.Environment) > 0 }
