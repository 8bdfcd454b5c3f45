package request

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/regions"
)

const (
	machine = "arn:aws:states:eu-west-1:999999999999:execution:crossapply:"
	itself  = machine + "second"
)

func TestRetryRefused(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no execution", `{"retry": {}}`, "retry.execution: Invalid value: \"\": must be the ARN of an execution of this state machine: " + machine},
		{"a name alone", `{"retry": {"execution": "first"}}`, "retry.execution: Invalid value"},
		{"no name", `{"retry": {"execution": "` + machine + `"}}`, "retry.execution: Invalid value"},
		{"another machine", `{"retry": {"execution": "arn:aws:states:eu-west-1:999999999999:execution:payroll:first"}}`, "retry.execution: Invalid value"},
		{"another account", `{"retry": {"execution": "arn:aws:states:eu-west-1:111111111111:execution:crossapply:first"}}`, "retry.execution: Invalid value"},
		{"a child", `{"retry": {"execution": "arn:aws:states:eu-west-1:999999999999:execution:crossapply/Target:first"}}`, "retry.execution: Invalid value"},
		{"a state machine", `{"retry": {"execution": "arn:aws:states:eu-west-1:999999999999:stateMachine:crossapply"}}`, "retry.execution: Invalid value"},
		{"a name that climbs", `{"retry": {"execution": "` + machine + `../first"}}`, "retry.execution: Invalid value"},
		{"itself", `{"retry": {"execution": "` + itself + `"}}`, "retry.execution: Invalid value: \"" + itself + "\": is this execution itself"},
		{"a number", `{"retry": 7}`, "retry: Invalid value: must be of type object"},
		{"an unknown field", `{"retry": {"execution": "` + machine + `first", "targets": "failed"}}`, "retry.targets: Invalid value: unknown field"},
		{"an unknown field beside", `{"retry": {"execution": "` + machine + `first"}, "redy": {}}`, "redy: Invalid value: unknown field"},
		{"a resource", `{"retry": {"execution": "` + machine + `first"}, "resource": {}}`, "resource: Forbidden: a retry takes it from the earlier execution"},
		{"targets", `{"retry": {"execution": "` + machine + `first"}, "targets": []}`, "targets: Forbidden"},
		{"resources", `{"retry": {"execution": "` + machine + `first"}, "resources": []}`, "resources: Forbidden"},
		{"a file of resources", `{"retry": {"execution": "` + machine + `first"}, "resourceFrom": {}}`, "resourceFrom: Forbidden"},
		{"a file of targets", `{"retry": {"execution": "` + machine + `first"}, "targetsFrom": {}}`, "targetsFrom: Forbidden"},
		{"an exclude", `{"retry": {"execution": "` + machine + `first"}, "exclude": []}`, "exclude: Forbidden"},
		{"a rollback too", `{"retry": {"execution": "` + machine + `first"}, "rollback": {"execution": "` + machine + `first"}}`, "rollback: Forbidden"},
		{"an operation", `{"retry": {"execution": "` + machine + `first"}, "operation": "apply"}`, "operation: Forbidden"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, problems := RetryOf(json.RawMessage(test.text), itself)
			if len(problems) == 0 {
				t.Fatal("accepted")
			}
			if got := Refusal(problems).Error(); !strings.Contains(got, test.want) {
				t.Errorf("the message lacks %q:\n%s", test.want, got)
			}
		})
	}
}

// What does not name an execution to retry is left to Parse.
func TestNoRetry(t *testing.T) {
	for _, text := range []string{"", "{", "null", "7", "[]", "{}", `{"retry": null}`, `{"targets": 7}`} {
		if retry, problems := RetryOf(json.RawMessage(text), itself); retry != nil || problems != nil {
			t.Errorf("%s: %+v, %v", text, retry, problems)
		}
		if rollback, problems := RollbackOf(json.RawMessage(text), itself); rollback != nil || problems != nil {
			t.Errorf("%s: %+v, %v", text, rollback, problems)
		}
	}
}

// The given fields replace those of the earlier request, one by one; but its key,
// and who started it, are its own.
func TestRetryRequest(t *testing.T) {
	const earlier = `{
		"resource": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"html": "<b>&</b>", "n": 9007199254740991, "f": 1.10}},
		"targets": [{"account": "111111111111", "region": "eu-west-1", "cluster": "a"}, {"account": "111111111111", "region": "eu-west-1", "cluster": "b"}],
		"apply": {"adopt": ["helm", "kubectl"], "removals": "refuse"}, "ready": {"timeoutSeconds": 60, "settleSeconds": 5}, "rollout": {"maxFailures": 1},
		"idempotencyKey": "k", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:first"}`
	const given = `{"retry": {"execution": "` + machine + `first"}, "resource": null,
		"apply": {"adopt": ["argocd"]}, "ready": {"timeoutSeconds": 600, "settleSeconds": null}, "rollout": null, "idempotencyKey": "k2"}`
	const want = `{"apply":{"adopt":["argocd"],"removals":"refuse"},"idempotencyKey":"k2","ready":{"timeoutSeconds":600},` +
		`"resource":{"apiVersion":"v1","data":{"f":1.10,"html":"<b>&</b>","n":9007199254740991},"kind":"ConfigMap","metadata":{"name":"a"}},` +
		`"targets":[{"account":"111111111111","region":"eu-west-1","cluster":"b"}]}` + "\n"
	left := []contract.TargetSelector{{Account: "111111111111", Region: "eu-west-1", Cluster: "b"}}
	retry, problems := RetryOf(json.RawMessage(given), itself)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if retry.Name != "first" || retry.Execution != machine+"first" {
		t.Errorf("it retries %+v", retry)
	}
	got, err := retry.Request(json.RawMessage(earlier), left, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, problems := Parse(got, regions.Scope{Partition: "aws"}, nil); len(problems) > 0 {
		t.Error(problems)
	}
	// The refusal of what was merged says whose the paths are.
	_, problems = Parse(got, regions.Scope{Partition: "aws-cn"}, nil)
	if err := retry.Refusal(problems); fault.NameOf(err) != fault.InvalidRequest ||
		!strings.HasPrefix(err.Error(), "the request of "+machine+"first, with the fields given here, is invalid: targets[0].region: ") {
		t.Error(err)
	}
}

// What a retry has of the earlier execution are its targets, whichever way they were
// named; what says what to do stays, also where it lies in a file.
func TestRetryOfSelectors(t *testing.T) {
	const earlier = `{"operation": "apply", "resourceFrom": {"key": "inputs/a.yaml", "sha256": "` + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + `"},
		"targetsFrom": {"key": "inputs/fleet.json"}, "exclude": [{"clusters": ["*-lab"]}], "labels": {"commit": "a"},
		"overrides": [{"match": {"accounts": ["222222222222"]}, "patch": {"spec": {"n": 9007199254740991}}}],
		"rollout": {"waves": [{"name": "canary", "count": 1}, {"match": {"regions": ["eu-west-1"]}}]}}`
	retry, problems := RetryOf(json.RawMessage(`{"retry": {"execution": "`+machine+`first"}, "labels": {"commit": "b"}}`), itself)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text, err := retry.Request(json.RawMessage(earlier), []contract.TargetSelector{{Account: "111111111111", Region: "eu-west-1", Cluster: "a"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed, problems := retry.Parse(text, regions.Scope{Partition: "aws"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if len(parsed.Targets) != 1 || parsed.Targets[0].Cluster != "a" || parsed.TargetsFrom != nil || parsed.Exclude != nil ||
		parsed.ResourceFrom.Key != "inputs/a.yaml" || parsed.Labels["commit"] != "b" || len(parsed.Overrides) != 1 {
		t.Errorf("%+v", parsed)
	}
	// What is left to be looked for may find again what was excluded.
	text, err = retry.Request(json.RawMessage(earlier), nil, []contract.TargetSelector{{Match: contract.Match{Accounts: []string{"111111111111"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if looking, problems := retry.Parse(text, regions.Scope{Partition: "aws"}); len(problems) > 0 || len(looking.Exclude) != 1 {
		t.Errorf("%+v, %v", looking, problems)
	}
	// The override and the waves were written for more targets.
	if !parsed.Lenient || parsed.Rollout.Unmatched != contract.UnmatchedLast || len(parsed.Rollout.Waves) != 2 || parsed.Rollout.Rest.Name != "unmatched" {
		t.Errorf("%+v", parsed.Rollout)
	}
}

func TestRollbackRefused(t *testing.T) {
	const rollback = `{"rollback": {"execution": "` + machine + `first"}, `
	for _, test := range []struct{ name, text, want string }{
		{"a name alone", `{"rollback": {"execution": "first"}}`, "rollback.execution: Invalid value: \"first\": must be the ARN of an execution of this state machine: " + machine},
		{"itself", `{"rollback": {"execution": "` + itself + `"}}`, "rollback.execution: Invalid value: \"" + itself + "\": is this execution itself"},
		{"an unknown field", rollback + `"targts": []}`, "targts: Invalid value: unknown field"},
		{"targets", rollback + `"targets": []}`, "targets: Forbidden: a rollback takes it from the earlier execution"},
		{"a resource", rollback + `"resource": {}}`, "resource: Forbidden"},
		{"an operation", rollback + `"operation": "apply"}`, "operation: Forbidden"},
		{"overrides", rollback + `"overrides": []}`, "overrides: Forbidden"},
		{"ready", rollback + `"ready": {}}`, "ready: Forbidden"},
		{"a dry run", rollback + `"apply": {"dryRun": true}}`, "apply: Forbidden"},
		{"a retry", rollback + `"retry": {"execution": "` + machine + `first"}}`, "retry: Forbidden"},
		{"waves", rollback + `"rollout": {"waves": [{}]}}`, "rollout.waves: Forbidden"},
		{"unmatched", rollback + `"rollout": {"unmatched": "last"}}`, "rollout.unmatched: Forbidden"},
		{"bake time", rollback + `"rollout": {"bakeSeconds": 1}}`, "rollout.bakeSeconds: Forbidden"},
		{"a rollback of itself", rollback + `"rollout": {"onFailure": "rollback"}}`, "rollout.onFailure: Forbidden: a rollback is not rolled back"},
		{"a wrong budget", rollback + `"rollout": {"maxFailures": -1}}`, "rollout.maxFailures: Invalid value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, problems := RollbackOf(json.RawMessage(test.text), itself)
			if len(problems) == 0 {
				t.Fatal("accepted")
			}
			if got := Refusal(problems).Error(); !strings.Contains(got, test.want) {
				t.Errorf("the message lacks %q:\n%s", test.want, got)
			}
		})
	}
}

func TestRollback(t *testing.T) {
	got, problems := RollbackOf(json.RawMessage(`{"rollback": {"execution": "`+machine+`first"}, "resource": null,
		"rollout": {"maxFailures": 3, "onFailure": "continue", "approval": true}, "labels": {"ticket": "7"}, "plan": true, "idempotencyKey": "k",
		"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:parent"}`), itself)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := got.Parsed
	if got.Name != "first" || got.Execution != machine+"first" || p.Operation != "rollback" || p.Rollout.MaxFailures.Count != 3 ||
		p.Rollout.OnFailure != contract.OnFailureContinue || !p.Rollout.Rest.Approval || p.Labels["ticket"] != "7" || !p.Preview || p.IdempotencyKey != "k" ||
		p.Apply.FieldManager != "crossapply" || p.Ready.TimeoutSeconds != 900 {
		t.Errorf("%+v", got)
	}
}

// What was read is noted, so that a later retry reads the same.
func TestPinned(t *testing.T) {
	raw := json.RawMessage(`{"resourceFrom": {"key": "inputs/a"}, "targetsFrom": {"key": "inputs/b"}, "n": 9007199254740993}`)
	parsed := Parsed{ResourceFrom: &contract.InputObject{Key: "inputs/a", SHA256: "1"}, TargetsFrom: &contract.InputObject{Key: "inputs/b", SHA256: "2"}}
	got, err := Pinned(raw, parsed)
	const want = `{"n":9007199254740993,"resourceFrom":{"key":"inputs/a","sha256":"1"},"targetsFrom":{"key":"inputs/b","sha256":"2"}}` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
	if got, err := Pinned(raw, Parsed{}); err != nil || string(got) != string(raw) {
		t.Errorf("got %s (%v)", got, err)
	}
}
