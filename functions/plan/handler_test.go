package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
)

// bucket records what is written to it.
type bucket map[string]string

func (b bucket) Name() string { return "run-bucket" }

func (b bucket) PutJSON(_ context.Context, key string, value any) error {
	body, err := json.Marshal(value)
	b[key] = string(body)
	return err
}

func (b bucket) PutJSONOnce(ctx context.Context, key string, value any) error {
	if _, taken := b[key]; taken {
		return fault.New(fault.AlreadyExists, "there is a %s", key)
	}
	return b.PutJSON(ctx, key, value)
}

func (b bucket) GetJSON(_ context.Context, key string, value any) error {
	return json.Unmarshal([]byte(b[key]), value)
}

const (
	execution = "arn:aws:states:eu-west-1:999999999999:execution:crossapply:nightly"
	topic     = `{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "metadata": {"name": "orders", "namespace": "kafka"}, "spec": {"partitions": 3}}`
	payments  = `{"account": "111111111111", "region": "eu-west-1", "cluster": "payments"}`
)

// request returns a good request with some fields replaced or added; an empty
// value takes the field out.
func request(fields map[string]string) string {
	all := map[string]string{"resource": topic, "targets": "[" + payments + "]"}
	for name, value := range fields {
		all[name] = value
	}
	var parts []string
	for name, value := range all {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%q: %s", name, value))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func plan1(t *testing.T, request string) (contract.PlanOutput, bucket, error) {
	t.Helper()
	store := bucket{}
	out, err := Planner{store: store, partition: "aws"}.Handle(t.Context(), contract.PlanInput{
		Execution: execution, Name: "nightly", Request: json.RawMessage(request)})
	return out, store, err
}

func TestPlan(t *testing.T) {
	out, store, err := plan1(t, request(map[string]string{
		"targets": `[` + payments + `, {"account": "222222222222", "region": "us-east-1", "cluster": "ledger"}]`,
		"resource": `{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "status": {"x": 1},
			"metadata": {"name": "orders", "namespace": "kafka", "creationTimestamp": null, "uid": "1", "resourceVersion": "2", "managedFields": [], "generation": 4, "labels": {"a": "b"}},
			"spec": {"partitions": 3, "retentionBytes": 9007199254740991}}`,
		"apply":   `{"force": true}`,
		"ready":   `{"timeoutSeconds": 60}`,
		"rollout": `{"maxFailures": "50%", "maxConcurrency": 7}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := contract.PlanOutput{
		Run: contract.Run{
			Execution: execution, Name: "nightly", Bucket: "run-bucket", Prefix: "runs/nightly/", Operation: "apply",
			Resource: contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: "orders"},
			Apply:    contract.ApplySettings{FieldManager: "crossapply", Force: true},
			Ready:    contract.ReadySettings{Condition: "Ready", TimeoutSeconds: 60},
		},
		TargetsKey: "runs/nightly/targets.json", ResultsPrefix: "runs/nightly/results",
		Total: 2, MaxConcurrency: 7, MaxFailures: 1,
	}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got  %+v\nwant %+v", out, want)
	}
	wantObjects := bucket{
		"runs/nightly/targets.json": `[{"account":"111111111111","region":"eu-west-1","cluster":"payments"},{"account":"222222222222","region":"us-east-1","cluster":"ledger"}]`,
		// What the cluster writes is stripped, and a large integer is kept.
		"runs/nightly/resource.json": `{"apiVersion":"messaging.example.com/v1","kind":"Topic","metadata":{"labels":{"a":"b"},"name":"orders","namespace":"kafka"},"spec":{"partitions":3,"retentionBytes":9007199254740991}}`,
	}
	for key, body := range wantObjects {
		if store[key] != body {
			t.Errorf("%s:\ngot  %s\nwant %s", key, store[key], body)
		}
	}
	if len(store) != len(wantObjects) {
		t.Errorf("wrote %d objects, want %d", len(store), len(wantObjects))
	}
}

func TestPlanDefaults(t *testing.T) {
	out, _, err := plan1(t, request(nil))
	if err != nil {
		t.Fatal(err)
	}
	if out.MaxConcurrency != 50 || out.MaxFailures != 0 || out.Run.Ready != (contract.ReadySettings{Condition: "Ready", TimeoutSeconds: 900}) {
		t.Errorf("defaults: %+v", out)
	}
}

func TestPlanRefuses(t *testing.T) {
	target := func(fields string) map[string]string { return map[string]string{"targets": "[" + fields + "]"} }
	metadata := func(name string) map[string]string {
		return map[string]string{"resource": `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ` + name + `}}`}
	}
	large := fmt.Sprintf(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"blob": %q}}`, strings.Repeat("x", 300<<10))
	tests := []struct {
		name    string
		request string
		want    []string // all must be in the message
		never   string   // must not be
	}{
		{name: "nothing", request: "", want: []string{"request: Invalid value: the request must be a JSON object"}},
		{name: "null", request: "null", want: []string{"must be a JSON object"}},
		{name: "a list", request: "[]", want: []string{"must be a JSON object"}},
		{name: "a string", request: `"apply"`, want: []string{"must be a JSON object"}},
		{name: "not JSON", request: `{"resource": `, want: []string{"request: ", "not JSON"}},
		{name: "an empty object", request: "{}", want: []string{"resource: Required value", "targets: Required value"}},

		{name: "an unknown field", request: request(map[string]string{"targtes": "[]"}), want: []string{"targtes: Invalid value: unknown field"}},
		{name: "an unknown field within", request: request(target(payments + `, {"account": "222222222222", "region": "eu-west-1", "cluster": "a", "role": "admin"}`)),
			want: []string{"targets[1].role: Invalid value: unknown field"}},
		{name: "a name in other case", request: request(map[string]string{"ready": `{"Condition": "x"}`}), want: []string{"ready.Condition: Invalid value: unknown field"}},
		{name: "a field given twice", request: `{"operation": "apply", "operation": "apply"}`, want: []string{"operation: Invalid value: given twice"}},
		{name: "a wrong type", request: request(map[string]string{"ready": `{"timeoutSeconds": "60"}`}), want: []string{"ready.timeoutSeconds", "must be of type whole number, not string"}},
		{name: "targets are an object", request: request(map[string]string{"targets": "{}"}), want: []string{"targets", "must be of type list, not object"}},
		{name: "a number for an account", request: request(target(`{"account": 111111111111, "region": "eu-west-1", "cluster": "a"}`)), want: []string{"targets[0].account: Invalid value: must be of type string, not number"}},

		{name: "no targets", request: request(map[string]string{"targets": "[]"}), want: []string{"targets: Required value"}},
		{name: "an empty target", request: request(target("{}")), want: []string{"targets[0].account: Required", "targets[0].region: Required", "targets[0].cluster: Required"}},
		{name: "a short account", request: request(target(`{"account": "1111", "region": "eu-west-1", "cluster": "a"}`)), want: []string{`targets[0].account: Invalid value: "1111"`}},
		{name: "a hostile region", request: request(target(`{"account": "111111111111", "region": "evil.example.com/#", "cluster": "a"}`)), want: []string{"targets[0].region: Invalid value"}},
		{name: "a hostile cluster", request: request(target(`{"account": "111111111111", "region": "eu-west-1", "cluster": "../../x"}`)), want: []string{"targets[0].cluster: Invalid value"}},
		{name: "a line break in a cluster", request: request(target(`{"account": "111111111111", "region": "eu-west-1", "cluster": "a\nb"}`)), want: []string{`targets[0].cluster: Invalid value: "a\nb"`}},
		{name: "another partition", request: request(target(`{"account": "111111111111", "region": "cn-north-1", "cluster": "a"}`)), want: []string{"targets[0].region", "aws-cn"}},
		{name: "a target twice", request: request(target(payments + "," + payments)), want: []string{"targets[1]", "repeats targets[0]"}},

		{name: "a resource that is a string", request: request(map[string]string{"resource": `"x"`}), want: []string{"resource: Invalid value: must be a Kubernetes object"}},
		{name: "a resource without anything", request: request(map[string]string{"resource": "{}"}), want: []string{"resource.apiVersion: Required", "resource.kind: Required", "resource.metadata.name: Required"}},
		{name: "an apiVersion of two slashes", request: request(map[string]string{"resource": `{"apiVersion": "a/b/v1", "kind": "K", "metadata": {"name": "x"}}`}), want: []string{"resource.apiVersion: Invalid"}},
		{name: "an apiVersion that climbs", request: request(map[string]string{"resource": `{"apiVersion": "../v1", "kind": "K", "metadata": {"name": "x"}}`}), want: []string{"resource.apiVersion: Invalid"}},
		{name: "a kind that is a number", request: request(map[string]string{"resource": `{"apiVersion": "v1", "kind": 7, "metadata": {"name": "x"}}`}), want: []string{"resource.kind: Invalid value: must be a string"}},
		{name: "a name with a slash", request: request(metadata(`"a/b"`)), want: []string{"resource.metadata.name: Invalid"}},
		{name: "a name of dots", request: request(metadata(`".."`)), want: []string{"resource.metadata.name: Invalid"}},
		{name: "a name with a percent sign", request: request(metadata(`"a%2fb"`)), want: []string{"resource.metadata.name: Invalid"}},
		{name: "a hostile name", request: request(metadata(`"${jndi:ldap://x}"`)), want: []string{"resource.metadata.name: Invalid"}},
		{name: "a name of 300 letters", request: request(metadata(`"` + strings.Repeat("a", 300) + `"`)), want: []string{"resource.metadata.name: Invalid"}, never: strings.Repeat("a", 100)},
		{name: "only generateName", request: request(map[string]string{"resource": `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}`}), want: []string{"resource.metadata.name: Required"}},
		{name: "metadata that is a list", request: request(map[string]string{"resource": `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": []}`}), want: []string{"resource.metadata.name: Invalid"}},
		{name: "an integer that JSONata rounds", request: request(map[string]string{"resource": `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "spec": {"list": [{"n": 1}, {"n": 9007199254740993}]}}`}),
			want: []string{"resource.spec.list[1].n: Invalid value", "as a string"}},
		{name: "a Secret", request: request(map[string]string{"resource": `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}`}), want: []string{"resource.kind: Forbidden"}},
		{name: "300 KiB", request: request(map[string]string{"resource": large}), want: []string{"resource: Invalid value: is 3", "at most 204800"}, never: "xxxx"},

		{name: "a field manager of 200 letters", request: request(map[string]string{"apply": `{"fieldManager": "` + strings.Repeat("m", 200) + `"}`}), want: []string{"apply.fieldManager"}},
		{name: "a condition that is none", request: request(map[string]string{"ready": `{"condition": "Ready now"}`}), want: []string{"ready.condition"}},
		{name: "no time", request: request(map[string]string{"ready": `{"timeoutSeconds": 0}`}), want: []string{"ready.timeoutSeconds", "between 1 and 86400"}},
		{name: "no concurrency", request: request(map[string]string{"rollout": `{"maxConcurrency": 0}`}), want: []string{"rollout.maxConcurrency", "between 1 and 1000"}},
		{name: "a negative budget", request: request(map[string]string{"rollout": `{"maxFailures": -1}`}), want: []string{"rollout.maxFailures"}},
		{name: "half a failure", request: request(map[string]string{"rollout": `{"maxFailures": 0.5}`}), want: []string{"rollout.maxFailures"}},
		{name: "more than all", request: request(map[string]string{"rollout": `{"maxFailures": "101%"}`}), want: []string{"rollout.maxFailures"}},
		{name: "a budget in words", request: request(map[string]string{"rollout": `{"maxFailures": "some"}`}), want: []string{"rollout.maxFailures"}},

		{name: "another operation", request: request(map[string]string{"operation": `"delete"`}), want: []string{"operation: Forbidden: not supported yet"}},
		{name: "overrides", request: request(map[string]string{"overrides": `[{"match": {}, "patch": {}}]`}), want: []string{"overrides: Forbidden: not supported yet"}},
		{name: "waves", request: request(map[string]string{"rollout": `{"waves": [1]}`}), want: []string{"rollout.waves: Forbidden: not supported yet"}},
		{name: "bake time", request: request(map[string]string{"rollout": `{"bakeSeconds": 5}`}), want: []string{"rollout.bakeSeconds: Forbidden: not supported yet"}},
		{name: "expressions", request: request(map[string]string{"ready": `{"expressions": {"failed": "true"}}`}), want: []string{"ready.expressions: Forbidden: not supported yet"}},
		{name: "a retry", request: request(map[string]string{"retry": `{"execution": "x"}`}), want: []string{"retry: Forbidden: not supported yet"}},
		{name: "an empty idempotency key", request: request(map[string]string{"idempotencyKey": `""`}), want: []string{"idempotencyKey: Required value"}},
		{name: "wrong types in two targets", request: request(map[string]string{"targets": `[` + payments + `, {"region": 1}, ` + payments + `, "x"]`}),
			want: []string{"targets[1].region: Invalid value: must be of type string, not number", "targets[3]: Invalid value: must be of type object, not string"}},
		{name: "an idempotency key of 600 letters", request: request(map[string]string{"idempotencyKey": `"` + strings.Repeat("k", 600) + `"`}), want: []string{"idempotencyKey: Too long"}, never: "kkkk"},
		{name: "selectors", request: request(target(`{"accounts": ["111111111111"], "regions": ["eu-west-1"], "clusterTags": {"a": "b"}}`)),
			want: []string{"targets[0].accounts: Forbidden: not supported yet", "targets[0].regions: Forbidden", "targets[0].clusterTags: Forbidden"}},
		{name: "an empty selector", request: request(target(`{"accounts": []}`)), want: []string{"targets[0].accounts: Forbidden: not supported yet"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, store, err := plan1(t, test.request)
			if fault.NameOf(err) != fault.InvalidRequest {
				t.Fatalf("got %v, want %s", err, fault.InvalidRequest)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message lacks %q:\n%s", want, err)
				}
			}
			if test.never != "" && strings.Contains(err.Error(), test.never) {
				t.Errorf("the message repeats %q...", test.never)
			}
			if len(err.Error()) > 4096 {
				t.Errorf("the message is %d bytes", len(err.Error()))
			}
			if len(store) != 0 {
				t.Errorf("%d objects were written before the request was refused", len(store))
			}
		})
	}
}

// Of all executions with one key the first does the work. A further call for
// the same execution, after its answer was lost, goes on.
func TestIdempotencyKey(t *testing.T) {
	store := bucket{}
	input := json.RawMessage(request(map[string]string{"idempotencyKey": `"nightly/2026-01-02T03:00:00Z"`}))
	call := func(execution string) contract.PlanOutput {
		t.Helper()
		out, err := Planner{store: store, partition: "aws"}.Handle(t.Context(), contract.PlanInput{Execution: execution, Name: execution, Request: input})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for range 2 {
		if out := call("first"); out.Answer != nil || out.Total != 1 {
			t.Fatalf("the first: %+v", out)
		}
	}
	out := call("second")
	if out.Answer == nil || out.Answer.Status != contract.StatusDuplicate || out.Answer.DuplicateOf != "first" {
		t.Errorf("the second: %+v", out)
	}
	other := json.RawMessage(request(map[string]string{"idempotencyKey": `"nightly/2026-01-02T03:00:00Z"`, "apply": `{"dryRun": true}`}))
	_, err := Planner{store: store, partition: "aws"}.Handle(t.Context(), contract.PlanInput{Execution: "third", Name: "third", Request: other})
	if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "idempotencyKey: Invalid value: stands for another request already, that of first") {
		t.Errorf("the same key for another request: %v", err)
	}
}

func TestPlanRefusesTooManyTargets(t *testing.T) {
	targets := strings.Repeat("{},", contract.MaxTargets) + "{}"
	_, _, err := plan1(t, request(map[string]string{"targets": "[" + targets + "]"}))
	if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "targets: Too many: 10001") {
		t.Errorf("got %v", err)
	}
	_, _, err = plan1(t, request(map[string]string{"targets": "[" + strings.Repeat("{},", 99) + "{}]"}))
	if len(err.Error()) > 4096 || !strings.Contains(err.Error(), "more") {
		t.Errorf("a hundred wrong targets are all listed: %d bytes", len(err.Error()))
	}
}

// Through the function's edge, whatever bytes arrive end in the named error.
func TestEdgeNamesBadEvents(t *testing.T) {
	handler := edge.New("plan", t.Output(), Planner{store: bucket{}, partition: "aws"}.Handle)
	for _, payload := range []string{"", "{", "[]", "7", `{"execution": 7}`, `{"request": {}}`} {
		_, err := handler.Invoke(t.Context(), []byte(payload))
		var reported messages.InvokeResponse_Error
		if !errors.As(err, &reported) || reported.Type != string(fault.InvalidRequest) {
			t.Errorf("%q: got %v, want %s", payload, err, fault.InvalidRequest)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(request(nil))
	f.Add(`{"targets": [{"account": "1"}], "rollout": {"maxFailures": "5%"}}`)
	f.Fuzz(func(t *testing.T, request string) {
		_, store, err := plan1(t, request)
		if err != nil && (fault.NameOf(err) != fault.InvalidRequest || len(store) != 0) {
			t.Errorf("%v after %d writes", err, len(store))
		}
	})
}
