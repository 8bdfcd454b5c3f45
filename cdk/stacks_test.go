package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/metrics"
	"github.com/crossapply/crossapply/statemachine"
)

// The state machine gets the very file that the local world runs, and each of
// its placeholders a value, and no other; what comes of them names the hub's
// partition only.
func testDefinition(t *testing.T, s synthesis) {
	hub := s.hub(t)
	machine := hub.only(t, "AWS::StepFunctions::StateMachine")
	key := hub.text(t, machine.at("DefinitionS3Location", "Key"))
	if asset := read(t, filepath.Join(s.dir, "asset."+key)); string(asset) != statemachine.Definition {
		t.Error("the deployed definition is not statemachine.Definition")
	}
	values := hub.substitutions(t)
	for name, value := range values {
		function, ok := strings.CutSuffix(strings.ToLower(name), "functionarn")
		if !ok {
			continue
		}
		if want := hub.arn("lambda", "function:crossapply-"+function+":1"); value != want {
			t.Errorf("%s is %s, want %s", name, value, want)
		}
	}
	if got := slices.Sorted(maps.Keys(values)); !slices.Equal(got, statemachine.Placeholders()) {
		t.Errorf("substitutions %q, placeholders %q", got, statemachine.Placeholders())
	}
	filled, err := statemachine.Substitute(values)
	must(t, err)
	for _, found := range regexp.MustCompile(`arn:([^:]*):`).FindAllStringSubmatch(filled, -1) {
		if found[1] != hub.partition() {
			t.Errorf("the definition of a hub in %s holds %s", hub.region, found[0])
		}
	}
	machine.want(t, "crossapply", "StateMachineName")
	machine.want(t, "STANDARD", "StateMachineType")
	machine.want(t, true, "TracingConfiguration", "Enabled")
	machine.want(t, s.config.Logs.Level, "LoggingConfiguration", "Level")
	machine.want(t, false, "LoggingConfiguration", "IncludeExecutionData")
	hub.named(t, "AWS::Logs::LogGroup", "LogGroupName", "/aws/vendedlogs/states/crossapply").want(t, s.config.Logs.RetentionDays, "RetentionInDays")
	hub.only(t, "AWS::StepFunctions::StateMachineAlias").want(t, "live", "Name")
	hub.only(t, "AWS::StepFunctions::StateMachineVersion")
	output := hub.text(t, hub.Outputs["StateMachineArn"]["Value"])
	if output != hub.arn("states", "stateMachine:crossapply:live") {
		t.Errorf("callers are told to start %s", output)
	}
}

// Every function of the list is deployed as the list says.
func testFunctions(t *testing.T, s synthesis) {
	hub := s.hub(t)
	if got, want := len(hub.ofType("AWS::Lambda::Function")), len(deployment.Functions()); got != want {
		t.Fatalf("%d functions, want %d", got, want)
	}
	for _, want := range deployment.Functions() {
		name, tuning := want.Name, s.config.Functions[want.Name]
		f := hub.named(t, "AWS::Lambda::Function", "FunctionName", "crossapply-"+name)
		f.want(t, want.TimeoutSeconds, "Timeout")
		f.want(t, tuning.MemoryMB, "MemorySize")
		if tuning.ReservedConcurrency > 0 {
			f.want(t, tuning.ReservedConcurrency, "ReservedConcurrentExecutions")
		}
		f.want(t, "provided.al2023", "Runtime")
		f.want(t, "bootstrap", "Handler")
		f.want(t, "[arm64]", "Architectures")
		f.want(t, "JSON", "LoggingConfig", "LogFormat")
		f.want(t, "Active", "TracingConfig", "Mode")
		if role := hub.text(t, f.Properties["Role"]); role != s.config.RoleARN(hubAccount, "crossapply-"+name) {
			t.Errorf("%s runs as %s", name, role)
		}
		hub.named(t, "AWS::Logs::LogGroup", "LogGroupName", "/aws/lambda/crossapply-"+name).want(t, s.config.Logs.RetentionDays, "RetentionInDays")
		if want.AssumesRoles {
			f.want(t, s.config.ExternalID, "Environment", "Variables", awsenv.ExternalID)
		}
		if inVPC := f.Properties["VpcConfig"] != nil; inVPC != (want.ReachesClusters && s.config.VPC != nil) {
			t.Errorf("%s: in a VPC: %v", name, inVPC)
		}
		var set []string
		if f.Properties["Environment"] != nil {
			set = slices.Sorted(maps.Keys(f.at("Environment", "Variables").(map[string]any)))
		}
		optional := func(name string) bool { return slices.Contains(want.Optional, name) }
		if set = slices.DeleteFunc(set, optional); !slices.Equal(set, slices.Sorted(slices.Values(want.Environment))) {
			t.Errorf("%s has the environment variables %q, want %q", name, set, want.Environment)
		}
		if least := s.config.Functions["poll"].ReservedConcurrency; least > 0 && optional(awsenv.MaxConcurrency) {
			f.want(t, least, "Environment", "Variables", awsenv.MaxConcurrency)
		}
		if optional(awsenv.Organizations) && s.config.Organizations {
			f.want(t, "true", "Environment", "Variables", awsenv.Organizations)
		}
		if optional(awsenv.Operations) && s.config.Operations != nil {
			f.want(t, "apply rollback", "Environment", "Variables", awsenv.Operations)
		}
		if allowed := allowlist.List(s.config.Allow).String(); allowed != "" && optional(awsenv.Allow) {
			f.want(t, allowed, "Environment", "Variables", awsenv.Allow)
		}
	}
}

func testBucket(t *testing.T, s synthesis) {
	bucket := s.hub(t).only(t, "AWS::S3::Bucket")
	for _, setting := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		bucket.want(t, true, "PublicAccessBlockConfiguration", setting)
	}
	days := map[any]any{}
	for _, rule := range bucket.at("LifecycleConfiguration", "Rules").([]any) {
		rule := rule.(map[string]any)
		if rule["Status"] != "Enabled" {
			t.Errorf("the rule %v is %v", rule["Id"], rule["Status"])
		}
		days[rule["Prefix"]] = rule["ExpirationInDays"]
	}
	want := map[any]any{"runs/": s.config.RunDays, "claims/": s.config.RunDays, "locks/": s.config.RunDays, "reports/": s.config.ReportDays, nil: nil}
	if fmt.Sprint(days) != fmt.Sprint(want) {
		t.Errorf("objects stay for %v days, want %v", days, want)
	}
	algorithm := "AES256"
	if s.config.CustomerManagedKey {
		algorithm = "aws:kms"
	}
	bucket.want(t, algorithm, "BucketEncryption", "ServerSideEncryptionConfiguration", 0, "ServerSideEncryptionByDefault", "SSEAlgorithm")
}

func testSchedules(t *testing.T, s synthesis) {
	hub := s.hub(t)
	nightly := hub.named(t, "AWS::Scheduler::Schedule", "Name", "nightly")
	nightly.want(t, "cron(0 2 * * ? *)", "ScheduleExpression")
	nightly.want(t, "Europe/Berlin", "ScheduleExpressionTimezone")
	nightly.want(t, "FLEXIBLE", "FlexibleTimeWindow", "Mode")
	nightly.want(t, 15, "FlexibleTimeWindow", "MaximumWindowInMinutes")
	nightly.want(t, "ENABLED", "State")
	nightly.want(t, 3, "Target", "RetryPolicy", "MaximumRetryAttempts")
	nightly.want(t, 3600, "Target", "RetryPolicy", "MaximumEventAgeInSeconds")
	if target := hub.text(t, nightly.at("Target", "Arn")); !strings.HasSuffix(target, ":stateMachine:crossapply:live") {
		t.Errorf("it starts %s", target)
	}
	if queue := hub.text(t, nightly.at("Target", "DeadLetterConfig", "Arn")); queue != "arn:aws:sqs:eu-west-1:111111111111:crossapply-schedule-dead-letters" {
		t.Errorf("its dead letters go to %s", queue)
	}
	// Scheduler looks for the placeholders in the text as it stands.
	text := nightly.at("Target", "Input").(string)
	if !strings.Contains(text, `"idempotencyKey":"<aws.scheduler.schedule-arn>/<aws.scheduler.scheduled-time>"`) {
		t.Errorf("no idempotencyKey that Scheduler fills in: %s", text)
	}
	var request map[string]any
	if err := json.Unmarshal([]byte(text), &request); err != nil || len(request) != 3 {
		t.Errorf("the input is not the request: %v, %v", request, err)
	}
	once := hub.named(t, "AWS::Scheduler::Schedule", "Name", "once")
	once.want(t, "DISABLED", "State")
	once.want(t, "OFF", "FlexibleTimeWindow", "Mode")
	if !strings.Contains(once.at("Target", "Input").(string), "333333333333") {
		t.Error("the request of the file is not the input")
	}
}

// metricsOf returns the metrics of a dashboard: each the namespace, the name and
// the dimensions.
func metricsOf(t *testing.T, dashboard string) []string {
	t.Helper()
	var parsed struct {
		Widgets []struct {
			Properties struct{ Metrics [][]any }
		}
	}
	must(t, json.Unmarshal([]byte(dashboard), &parsed))
	var all []string
	for _, widget := range parsed.Widgets {
		for _, metric := range widget.Properties.Metrics {
			all = append(all, fmt.Sprint(metric[:len(metric)-1])) // the last says how it is drawn
		}
	}
	return all
}

// The dashboard and the alarms, and that they are as many as docs/cost.md counts.
func testObservability(t *testing.T, s synthesis) {
	hub := s.hub(t)
	body := hub.document(t, hub.only(t, "AWS::CloudWatch::Dashboard").Properties["DashboardBody"])
	for _, wanted := range []string{"ExecutionsFailed", "Throttles", "ConcurrentExecutions"} {
		if !strings.Contains(body, wanted) {
			t.Errorf("the dashboard does not show %s", wanted)
		}
	}
	shown := metricsOf(t, hub.text(t, hub.only(t, "AWS::CloudWatch::Dashboard").Properties["DashboardBody"]))
	cost := string(read(t, "../docs/cost.md"))
	if counted := fmt.Sprintf("(%d metrics;", len(shown)); !strings.Contains(cost, counted) {
		t.Errorf("docs/cost.md does not say %q", counted)
	}
	// The report function's own, as it names them.
	ended := func(name, outcome string) string {
		return fmt.Sprint([]any{metrics.Namespace, name, metrics.Outcome, outcome, metrics.StateMachine, s.config.Name})
	}
	wanted := []string{ended(metrics.TargetSeconds, "Ready")}
	for _, outcome := range contract.Outcomes() {
		wanted = append(wanted, ended(metrics.Targets, string(outcome)))
	}
	for _, label := range []string{deployment.MapLabel, deployment.DiscoveryLabel} {
		wanted = append(wanted, fmt.Sprint([]any{"AWS/States", "ExecutionsFailed", "StateMachineArn", hub.arn("states", "stateMachine:crossapply/"+label)}))
	}
	for _, metric := range wanted {
		if !slices.Contains(shown, metric) {
			t.Errorf("the dashboard does not show %s, but %q", metric, shown)
		}
	}
	paid := 0
	for _, alarm := range hub.ofType("AWS::CloudWatch::Alarm") {
		terms, several := alarm.Properties["Metrics"].([]any)
		if !several {
			terms = []any{map[string]any{"MetricStat": alarm.Properties["MetricName"]}}
		}
		for _, term := range terms {
			if term.(map[string]any)["MetricStat"] != nil { // and no expression
				paid++
			}
		}
		if told := alarm.at("AlarmActions", 0); (told != nil) != (s.config.AlarmTopicARN != "") || (told != nil && told != s.config.AlarmTopicARN) {
			t.Errorf("%v tells %v", alarm.Properties["AlarmName"], told)
		}
		alarm.want(t, "notBreaching", "TreatMissingData")
	}
	counted := fmt.Sprintf("%d × 0.10 = %.2f,", paid, float64(paid)/10)
	if len(s.config.Schedules) > 0 {
		counted = fmt.Sprintf("or %.2f (", float64(paid)/10)
	}
	if !strings.Contains(cost, counted) {
		t.Errorf("docs/cost.md does not say %q of the alarms", counted)
	}
}

// What the first deployment makes and a failure of it would leave behind is deleted
// again; what was in use stays when the stack goes.
func testRetained(t *testing.T, s synthesis) {
	hub := s.hub(t)
	for id, r := range hub.Resources {
		switch r.Type {
		case "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Lambda::Version", "AWS::StepFunctions::StateMachineVersion":
			if r.DeletionPolicy != "RetainExceptOnCreate" || r.UpdateReplacePolicy != "Retain" {
				t.Errorf("%s: %s, %s", id, r.DeletionPolicy, r.UpdateReplacePolicy)
			}
		default:
			if strings.HasPrefix(r.DeletionPolicy, "Retain") {
				t.Errorf("%s, a %s, stays when the stack is deleted: is it to?", id, r.Type)
			}
		}
	}
}

// Every role has the path and the boundary of the configuration.
func testRoles(t *testing.T, s synthesis) {
	for _, role := range s.hub(t).ofType("AWS::IAM::Role") {
		role.want(t, s.config.RolePath, "Path")
		role.want(t, s.config.BoundaryARN(hubAccount), "PermissionsBoundary")
	}
	var manifest struct {
		Artifacts map[string]struct{ Properties map[string]any }
	}
	readJSON(t, filepath.Join(s.dir, "manifest.json"), &manifest)
	if got := manifest.Artifacts["crossapply"].Properties["terminationProtection"]; got != s.config.TerminationProtection {
		t.Errorf("termination protection is %v", got)
	}
}

func testKey(t *testing.T, s synthesis) {
	hub := s.hub(t)
	hub.only(t, "AWS::KMS::Key").want(t, true, "EnableKeyRotation")
	for kind, property := range map[string]string{
		"AWS::Logs::LogGroup": "KmsKeyId", "AWS::Lambda::Function": "KmsKeyArn", "AWS::SQS::Queue": "KmsMasterKeyId",
	} {
		for _, r := range hub.ofType(kind) {
			if r.Properties[property] == nil {
				t.Errorf("a %s is not encrypted with the key", kind)
			}
		}
	}
	hub.only(t, "AWS::StepFunctions::StateMachine").want(t, "CUSTOMER_MANAGED_KMS_KEY", "EncryptionConfiguration", "Type")
}

// The event topic is told of what people wait for, by EventBridge and nobody else, and
// of a request for approval without its token.
func testEvents(t *testing.T, s synthesis) {
	hub := s.hub(t)
	const topic = "arn:aws:sns:eu-west-1:111111111111:crossapply-events"
	policy := hub.document(t, hub.only(t, "AWS::SNS::TopicPolicy").Properties["PolicyDocument"])
	if want := `{"Action":"sns:Publish","Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"` + topic + `"`; strings.Count(policy, `"Allow"`) != 1 || !strings.Contains(policy, want) {
		t.Errorf("the topic's policy is %s", policy)
	}
	key := hub.only(t, "AWS::KMS::Key")
	if policy := hub.document(t, key.Properties["KeyPolicy"]); !strings.Contains(policy, `{"Action":["kms:Decrypt","kms:GenerateDataKey*"],"Condition":{"StringEquals":{"kms:EncryptionContext:aws:sns:topicArn":"`+topic+`"}},"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Resource":"*"}`) {
		t.Errorf("EventBridge may not use the key for the topic: %s", policy)
	}
	types, sent := map[string]bool{}, events(t)
	for _, rule := range hub.ofType("AWS::Events::Rule") {
		rule.want(t, s.config.Events.BusName, "EventBusName")
		rule.want(t, "[map[prefix:"+hub.arn("states", "execution:crossapply:")+"]]", "EventPattern", "detail", "execution")
		rule.want(t, "["+deployment.EventSource+"]", "EventPattern", "source")
		if to := hub.text(t, rule.at("Targets", 0, "Arn")); to != topic {
			t.Errorf("%v goes to %s", rule.Properties["Name"], to)
		}
		for _, name := range rule.at("EventPattern", "detail-type").([]any) {
			types[name.(string)] = true
			testMessage(t, rule, sent[name.(string)])
		}
	}
	want := []string{deployment.EventApprovalRequested, deployment.EventExecutionEnded, deployment.EventPhaseEnded}
	if got := slices.Sorted(maps.Keys(types)); !slices.Equal(got, want) {
		t.Errorf("the topic is told of %q, want %q", got, want)
	}
}

// testMessage checks that a rule sends an event whole, or all of it but its token.
func testMessage(t *testing.T, rule resource, detail []string) {
	t.Helper()
	transformer := rule.at("Targets", 0, "InputTransformer")
	if !slices.Contains(detail, "taskToken") {
		if transformer != nil || len(detail) == 0 {
			t.Errorf("%v: an event of %q is sent as %v", rule.Properties["Name"], detail, transformer)
		}
		return
	}
	filled := regexp.MustCompile(`<\w+>`).ReplaceAllString(rule.at("Targets", 0, "InputTransformer", "InputTemplate").(string), "0")
	var message struct{ Detail map[string]any }
	must(t, json.Unmarshal([]byte(filled), &message))
	if got := append(slices.Collect(maps.Keys(message.Detail)), "taskToken"); !slices.Equal(slices.Sorted(slices.Values(got)), detail) {
		t.Errorf("of the fields %q the message has %q", detail, slices.Sorted(maps.Keys(message.Detail)))
	}
	for name, path := range rule.at("Targets", 0, "InputTransformer", "InputPathsMap").(map[string]any) {
		if path == "$" || path == "$.detail" || strings.Contains(path.(string), "Token") {
			t.Errorf("%s of the message is %s", name, path)
		}
	}
}

// events are the events that an execution of the definition sends: the fields of each,
// by its type.
func events(t *testing.T) map[string][]string {
	t.Helper()
	values := map[string]string{}
	for _, name := range statemachine.Placeholders() {
		values[name] = name
	}
	values[deployment.PartitionPlaceholder] = "aws"
	definition, err := statemachine.Substitute(values)
	must(t, err)
	sent := map[string][]string{}
	send := func(_ context.Context, call asltest.Call) asltest.Reply {
		var given struct {
			Entries []struct {
				Source, DetailType string
				Detail             map[string]any
			}
		}
		must(t, json.Unmarshal(call.Payload, &given))
		for _, entry := range given.Entries {
			sent[entry.DetailType] = slices.Sorted(maps.Keys(entry.Detail))
			if entry.Source != deployment.EventSource || entry.Detail["execution"] != "e" {
				t.Errorf("%s sends an event of %s that no rule finds", call.State, entry.Source)
			}
		}
		return asltest.Output("{}")
	}
	reply := func(payload string) asltest.Function { return asltest.Replies(asltest.Output(payload)) }
	out := asltest.Run(t, asltest.Case{Definition: definition, Functions: asltest.Functions{
		"PlanFunctionArn":                   reply(planned(`{"action": "approve", "phase": {"name": "canary"}, "total": 5, "timeoutSeconds": 60, "counts": {}}`)),
		"ReviewFunctionArn":                 reply(`{"action": "report", "ended": {"number": 1}, "reason": "", "counts": {}}`),
		"ReportFunctionArn":                 reply(reported),
		"events:putEvents":                  send,
		"events:putEvents.waitForTaskToken": send,
	}})
	if len(sent) != 4 {
		t.Errorf("%s, %s: the definition sends %q", out.Error, out.Cause, slices.Sorted(maps.Keys(sent)))
	}
	return sent
}

// planned and reported are what plan, before some action, and report return of an
// execution.
func planned(next string) string {
	return `{"run": {"execution": "e", "bucket": "runs", "prefix": "runs/run/", "operation": "apply", "resources": [], "apply": {"dryRun": false}, "ready": {}, "tolerate": []},
		"next": ` + next + `, "total": 5, "labels": {}, "preview": false}`
}

const reported = `{"execution": "e", "operation": "apply", "resources": [], "dryRun": false, "total": 5, "counts": {}, "status": "Succeeded", "message": "", "report": ""}`
