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
	left := []contract.Target{{Account: "111111111111", Region: "eu-west-1", Cluster: "b"}}
	retry, problems := RetryOf(json.RawMessage(given), itself)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if retry.Name != "first" || retry.Execution != machine+"first" {
		t.Errorf("it retries %+v", retry)
	}
	got, err := retry.Request(json.RawMessage(earlier), left)
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
