package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// explanation says why a finding is meant to be. Rule and resource are a prefix
// and a part of what is found.
type explanation struct{ rule, resource, why string }

// explained are the findings of AwsSolutions that are meant to be, each with
// the reason. Any other finding fails the test, and so does an entry here that
// no longer finds anything.
var explained = []explanation{
	{"AwsSolutions-S1", "/Runs/", "Objects of the run bucket expire within weeks, and only the workflow's own roles get at them; who needs a record of each access has CloudTrail's data events."},
	{"AwsSolutions-IAM5[Resource::<Runs", "Role/DefaultPolicy/", "A prefix of the run bucket: the names of executions are not known before."},
	{"AwsSolutions-IAM5[Resource::arn:aws:states:", "/WorkflowRole/DefaultPolicy/", "Child executions of the workflow's own Map: their names are not known before."},
	{"AwsSolutions-IAM5[Resource::arn:aws:lambda:", "/WorkflowRole/DefaultPolicy/", "All versions of a function: executions under way call the one that they began with."},
	{"AwsSolutions-IAM5[Resource::arn:aws:states:", "/PlanRole/DefaultPolicy/", "Executions of the workflow, asked whether they still run: their names are not known before."},
	{"AwsSolutions-IAM5[Resource::arn:aws:states:", "/CallerPolicy/", "Executions of the workflow: their names are not known before."},
	{"AwsSolutions-IAM5[Resource::<Runs", "/CallerPolicy/", "The stop mark and the report of an execution: the names of executions are not known before."},
	{"AwsSolutions-IAM5[Resource::arn:aws:states:", "/ReaderPolicy/", "Versions, executions and Map Runs of the workflow: their names are not known before."},
	{"AwsSolutions-IAM5[Resource::arn:aws:states:", "/ApproverPolicy/", "Executions of the workflow, whose histories hold what they ask: their names are not known before."},
	{"AwsSolutions-IAM5[Resource::arn:aws:organizations:", "/PlanRole/DefaultPolicy/", "The units of the organisation, below whichever a request names, and the account that manages it."},
	{"AwsSolutions-IAM5[Resource::<Runs", "/ReaderPolicy/", "The reports of all executions."},
	{"AwsSolutions-IAM5[Resource::*]", "Role/DefaultPolicy/", "X-Ray, log delivery and network interfaces: actions that take no resource."},
	{"AwsSolutions-IAM5[Resource::arn:aws:iam::*:role/crossapply-access]", "Role/DefaultPolicy/", "The access role in every account of the organisation, which the statement's condition says."},
	{"AwsSolutions-IAM5[Resource::arn:aws:eks:*:", "/Role", "Discovery asks for all clusters of the account."},
	{"AwsSolutions-IAM5[Resource::*]", "/Role", "eks:ListClusters takes no resource."},
	{"AwsSolutions-SF1", "/Workflow/", "Errors alone are logged by default: every event costs more in logs than the workflow itself, and the console keeps the history anyway. logs.level has ALL."},
	{"AwsSolutions-SQS3", "/ScheduleDeadLetters/", "It is the dead-letter queue."},
}

// finding is a rule that a resource breaks, with what exactly in brackets.
type finding struct{ rule, resource string }

// findings reads what the rules left as annotations of the constructs.
func findings(t *testing.T, s synthesis) []finding {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "*.metadata.json"))
	if err != nil || len(files) != len(s.artifacts(t)) {
		t.Fatalf("want annotations of each stack, got %q (%v)", files, err)
	}
	var found []finding
	partition := s.hub(t).partition() // explanations hold in each
	for _, file := range files {
		var annotations map[string][]struct {
			Type string `json:"type"`
			Data any    `json:"data"`
		}
		readJSON(t, file, &annotations)
		for path, entries := range annotations {
			for _, entry := range entries {
				if text, ok := entry.Data.(string); ok && (entry.Type == "aws:cdk:error" || entry.Type == "aws:cdk:warning") {
					rule, _, _ := strings.Cut(text, ": ")
					found = append(found, finding{rule: strings.Replace(rule, "arn:"+partition+":", "arn:aws:", 1), resource: path})
				}
			}
		}
	}
	return found
}

func testRules(t *testing.T, all ...synthesis) {
	used := make([]bool, len(explained))
	for _, s := range all {
		for _, f := range findings(t, s) {
			reason := slices.IndexFunc(explained, func(e explanation) bool {
				return strings.HasPrefix(f.rule, e.rule) && strings.Contains(f.resource, e.resource)
			})
			if reason < 0 {
				t.Errorf("%s at %s is not explained", f.rule, f.resource)
				continue
			}
			used[reason] = true
		}
		// The rules that the CDK itself applies to every template are errors by a
		// feature flag in cdk.json.
		var report struct {
			PluginReports []any `json:"pluginReports"`
		}
		readJSON(t, filepath.Join(s.dir, "validation-report.json"), &report)
		if len(report.PluginReports) > 0 {
			t.Errorf("CloudFormation's rules are broken: %v", report.PluginReports)
		}
	}
	for i, e := range explained {
		if !used[i] {
			t.Errorf("%s at %s finds nothing any more: take the entry out", e.rule, e.resource)
		}
	}
}
