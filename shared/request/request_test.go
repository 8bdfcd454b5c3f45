package request_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/waves"
)

const (
	topic    = `{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "metadata": {"name": "orders", "namespace": "kafka"}, "spec": {"partitions": 3}}`
	payments = `{"account": "111111111111", "region": "eu-west-1", "cluster": "payments"}`
)

// scope is where the workflow of these tests can act.
var scope = regions.Scope{Partition: "aws", Additional: []string{"eu-moon-1"}}

// with returns a valid request in which one field has another value.
func with(name, value string) string {
	fields := map[string]string{"resource": topic, "targets": "[" + payments + "]", name: value}
	var parts []string
	for name, value := range maps.All(fields) {
		parts = append(parts, fmt.Sprintf("%q: %s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// withMetadata returns a resource with one more field of its metadata.
func withMetadata(field string) string {
	return strings.Replace(topic, `"metadata": {`, `"metadata": {`+field+`, `, 1)
}

func named(name string) string {
	return `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": ` + name + `}}`
}

// refused parses a request that must be refused, and returns the messages.
func refused(t *testing.T, text string) string {
	t.Helper()
	_, problems := request.Parse(json.RawMessage(text), scope, nil)
	if len(problems) == 0 {
		t.Fatalf("accepted: %s", fault.Shorten(text, 200))
	}
	err := request.Refusal(problems)
	if fault.NameOf(err) != fault.InvalidRequest {
		t.Errorf("the error is named %s", fault.NameOf(err))
	}
	if len(err.Error()) > 4096 {
		t.Errorf("the message is %d bytes", len(err.Error()))
	}
	return err.Error()
}

func TestRefusedDocuments(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", "request: Invalid value: must be a JSON object"},
		{"null", "null", "must be a JSON object"},
		{"a list", "[]", "must be a JSON object"},
		{"a string", `"apply"`, "must be a JSON object"},
		{"not JSON", `{"resource": `, "request: Invalid value: is not JSON"},
		{"no resource", "{}", "resource: Required value"},
		{"no targets", "{}", "targets: Required value"},
		{"a name in another case", with("Targets", "[]"), "Targets: Invalid value: unknown field"},
		{"an unknown field", with("targtes", "[]"), "targtes: Invalid value: unknown field"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := refused(t, test.text); !strings.Contains(got, test.want) {
				t.Errorf("the message lacks %q:\n%s", test.want, got)
			}
		})
	}
}

func TestRefusedFields(t *testing.T) {
	const rounded = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "spec": {"list": [{"n": 1}, {"n": 9007199254740993}]}}`
	tests := []struct {
		name, field, value string
		want               string
	}{
		{"a resource that is a string", "resource", `"x"`, "resource: Invalid value: must be a Kubernetes object"},
		{"a resource without an apiVersion", "resource", "{}", "resource.apiVersion: Required"},
		{"a resource without a kind", "resource", "{}", "resource.kind: Required"},
		{"a resource without a name", "resource", "{}", "resource.metadata.name: Required"},
		{"an apiVersion of two slashes", "resource", strings.Replace(topic, ".com/v1", ".com/b/v1", 1), "resource.apiVersion: Invalid"},
		{"an apiVersion that climbs", "resource", strings.Replace(topic, "messaging.example.com/v1", "../v1", 1), "resource.apiVersion: Invalid"},
		{"a kind that is a number", "resource", strings.Replace(topic, `"Topic"`, "7", 1), "resource.kind: Invalid value: must be a string"},
		{"a name with a slash", "resource", named(`"a/b"`), "resource.metadata.name: Invalid"},
		{"a name of dots", "resource", named(`".."`), "resource.metadata.name: Invalid"},
		{"a name with a percent sign", "resource", named(`"a%2fb"`), "resource.metadata.name: Invalid"},
		{"a hostile name", "resource", named(`"${jndi:ldap://x}"`), "resource.metadata.name: Invalid"},
		{"a name of 300 letters", "resource", named(`"` + strings.Repeat("a", 300) + `"`), "resource.metadata.name: Invalid"},
		{"only generateName", "resource", strings.Replace(topic, `"name"`, `"generateName"`, 1), "resource.metadata.name: Required"},
		{"metadata that is a list", "resource", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": []}`, "resource.metadata.name: Invalid"},
		{"an integer that JSONata rounds", "resource", rounded, "resource.spec.list[1].n: Invalid value: is a number of 2^53 or more"},
		{"an owner", "resource", withMetadata(`"ownerReferences": [{"uid": "1"}]`), "resource.metadata.ownerReferences: Forbidden: leave them out: they name owners by uid"},
		{"owners that are no list", "resource", withMetadata(`"ownerReferences": {}`), "resource.metadata.ownerReferences: Forbidden"},
		{"a finalizer", "resource", withMetadata(`"finalizers": ["strimzi.io/topic-operator"]`), "resource.metadata.finalizers: Forbidden: leave them out: they belong to controllers of one cluster"},
		{"a Secret", "resource", strings.Replace(named(`"x"`), "ConfigMap", "Secret", 1), "resource.kind: Forbidden"},

		{"no targets", "targets", "[]", "targets: Required value"},
		{"targets that are an object", "targets", "{}", "targets: Invalid value: must be of type list, not object"},
		{"a target without an account", "targets", "[{}]", "targets[0].account: Required"},
		{"a target without a region", "targets", "[{}]", "targets[0].region: Required"},
		{"a target without a cluster", "targets", "[{}]", "targets[0].cluster: Required"},
		{"an unknown field of a target", "targets", `[{}, {"role": "admin"}]`, "targets[1].role: Invalid value: unknown field"},
		{"a number for an account", "targets", `[{"account": 111111111111}]`, "targets[0].account: Invalid value: must be of type string, not number"},
		{"a second target of a wrong type", "targets", `[{"region": 1}, {}, "x"]`, "targets[2]: Invalid value: must be of type object, not string"},
		{"a short account", "targets", `[{"account": "1111"}]`, `targets[0].account: Invalid value: "1111"`},
		{"a hostile region", "targets", `[{"region": "evil.example.com/#"}]`, "targets[0].region: Invalid value"},
		{"a hostile cluster", "targets", `[{"cluster": "../../x"}]`, "targets[0].cluster: Invalid value"},
		{"a line break in a cluster", "targets", `[{"cluster": "a\nb"}]`, `targets[0].cluster: Invalid value: "a\nb"`},
		{"another partition", "targets", strings.Replace("["+payments+"]", "eu-west-1", "cn-north-1", 1), "targets[0].region: Invalid value: \"cn-north-1\": lies in partition aws-cn"},
		{"a target twice", "targets", "[" + payments + "," + payments + "]", "repeats targets[0]"},
		{"more targets than a rollout takes", "targets", "[" + strings.Repeat("{},", contract.MaxTargets) + "{}]", "targets: Too many: 10001"},
		{"a Region that is not there", "targets", strings.Replace("["+payments+"]", "eu-west-1", "eu-west-9", 1),
			`targets[0].region: Invalid value: "eu-west-9": no such AWS Region: did you mean eu-west-1, eu-west-2, eu-west-3?`},

		{"another operation", "operation", `"destroy"`, `operation: Unsupported value: "destroy": supported values: "apply"`},
		{"a rollback", "rollback", `{"execution": "x"}`, "rollback: Forbidden: only the input of an execution can be a rollback"},
		{"a retry", "retry", `{"execution": "x"}`, "retry: Forbidden: only the input of an execution can be a retry"},

		{"a field manager of 200 letters", "apply", `{"fieldManager": "` + strings.Repeat("m", 200) + `"}`, "apply.fieldManager: Invalid value"},
		{"adoption from nobody", "apply", `{"adopt": [""]}`, "apply.adopt[0]: Invalid value"},
		{"adoption from a line break", "apply", `{"adopt": ["kubectl", "a\nb"]}`, "apply.adopt[1]: Invalid value"},
		{"adoption from itself", "apply", `{"adopt": ["crossapply"]}`, `apply.adopt[0]: Invalid value: "crossapply": is the field manager of this request itself`},
		{"adoption from its own manager", "apply", `{"fieldManager": "team-a", "adopt": ["crossapply", "team-a"]}`, "apply.adopt[1]: Invalid value"},
		{"adoption from one manager twice", "apply", `{"adopt": ["helm", "kubectl", "helm"]}`, "apply.adopt[2]: Invalid value: \"helm\": repeats apply.adopt[0]"},
		{"adoption from many managers", "apply", `{"adopt": ["m"` + strings.Repeat(`, "m"`, contract.MaxAdopt) + `]}`, "apply.adopt: Too many: 21: must have at most 20 items"},
		{"adoption beside force", "apply", `{"force": true, "adopt": ["helm"]}`, "apply.adopt: Forbidden: apply.force takes fields over from every manager"},
		{"removals in another word", "apply", `{"removals": "never"}`, `apply.removals: Unsupported value: "never": supported values: "allow", "refuse"`},
		{"a condition type with a space", "ready", `{"condition": "Ready now"}`, "ready.condition: Invalid value"},
		{"no time", "ready", `{"timeoutSeconds": 0}`, "ready.timeoutSeconds: Invalid value: 0: must be between 1 and 86400"},
		{"a time in words", "ready", `{"timeoutSeconds": "60"}`, "ready.timeoutSeconds: Invalid value: must be of type whole number, not string"},
		{"a short grace", "ready", `{"failureGraceSeconds": -1}`, "ready.failureGraceSeconds: Invalid value: -1: must be between 0 and 3600"},
		{"a long time to settle", "ready", `{"settleSeconds": 3601}`, "ready.settleSeconds: Invalid value: 3601: must be between 0 and 3600"},
		{"no expression for Ready", "ready", `{"expressions": {"failed": "true"}}`, "ready.expressions.current: Required value"},
		{"no expression", "ready", `{"expressions": {}}`, "ready.expressions.current: Required value"},
		{"expressions and a condition", "ready", `{"condition": "Ready", "expressions": {"current": "true"}}`, "ready.condition: Forbidden: ready.expressions judge already"},
		{"an expression that is none", "ready", `{"expressions": {"current": "true", "failed": "status.phase == 'Failed"}}`, "ready.expressions.failed: Invalid value: line 1, column"},
		{"an expression that yields no boolean", "ready", `{"expressions": {"current": "'yes'"}}`, "ready.expressions.current: Invalid value"},
		{"a long expression", "ready", `{"expressions": {"current": "true", "inProgress": "` + strings.Repeat(" ", contract.MaxExpressionBytes) + `!"}}`, "ready.expressions.inProgress: Too long"},
		{"no concurrency", "rollout", `{"maxConcurrency": 0}`, "rollout.maxConcurrency: Invalid value: 0: must be between 1 and 1000"},
		{"a negative budget", "rollout", `{"maxFailures": -1}`, "rollout.maxFailures: Invalid value"},
		{"half a failure", "rollout", `{"maxFailures": 0.5}`, "rollout.maxFailures: Invalid value"},
		{"more than all", "rollout", `{"maxFailures": "101%"}`, "rollout.maxFailures: Invalid value"},
		{"a budget in words", "rollout", `{"maxFailures": "some"}`, "rollout.maxFailures: Invalid value"},

		{"an empty idempotency key", "idempotencyKey", `""`, "idempotencyKey: Required value"},
		{"an idempotency key of 600 letters", "idempotencyKey", `"` + strings.Repeat("k", 600) + `"`, "idempotencyKey: Too long"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := refused(t, with(test.field, test.value))
			if !strings.Contains(got, test.want) {
				t.Errorf("the message lacks %q:\n%s", test.want, got)
			}
			if strings.Contains(got, "kkkkk") || strings.Contains(got, strings.Repeat("a", 100)) {
				t.Errorf("the message repeats a long value:\n%s", got)
			}
		})
	}
}

// A message names the size of a large resource and not its contents, and lists
// the first of many mistakes.
func TestRefusalsAreShort(t *testing.T) {
	large := fmt.Sprintf(`{"data": {"blob": %q}}`, strings.Repeat("x", 300<<10))
	if got := refused(t, with("resource", large)); !strings.Contains(got, "resource: Invalid value: is 307") || strings.Contains(got, "xxxx") {
		t.Errorf("got %s", got)
	}
	if got := refused(t, with("targets", "["+strings.Repeat("{},", 99)+"{}]")); !strings.Contains(got, "and 280 more") {
		t.Errorf("a hundred wrong targets: %s", got)
	}
}

// Where a request stands in another document, the paths say so.
func TestPath(t *testing.T) {
	at := field.NewPath("schedules").Index(1).Child("request")
	for _, text := range []string{"{}", `{"resource": 7}`, `{"x": 1}`, "7"} {
		_, problems := request.Parse(json.RawMessage(text), scope, at)
		if len(problems) == 0 {
			t.Errorf("%s is accepted", text)
		}
		for _, problem := range problems {
			if !strings.HasPrefix(problem.Field, "schedules[1].request") {
				t.Errorf("%s: the path is %s", text, problem.Field)
			}
		}
	}
}

// defaults returns the settings of a rollout that says nothing else.
func defaults(maxConcurrency int, exclusive bool) request.Rollout {
	wave, rest := waves.Wave{Name: "1", MaxConcurrency: maxConcurrency}, waves.Wave{Name: "unmatched", MaxConcurrency: maxConcurrency}
	return request.Rollout{
		MaxConcurrency: maxConcurrency, Tolerate: []string{}, Exclusive: exclusive, Waves: []waves.Wave{wave}, Unmatched: "refuse", Rest: rest,
		ApprovalTimeoutSeconds: 86_400, OnFailure: "stop",
	}
}

func TestDefaults(t *testing.T) {
	got, problems := request.Parse(json.RawMessage(with("targets", "["+payments+"]")), scope, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := request.Parsed{
		Operation: "apply",
		Apply:     contract.ApplySettings{FieldManager: "crossapply", Removals: contract.RemovalsAllow},
		Ready:     contract.ReadySettings{Wait: true, TimeoutSeconds: 900, FailureGraceSeconds: 30, SettleSeconds: 10},
		Rollout:   defaults(50, true),
		Labels:    map[string]string{},
	}
	got.Resources, got.Targets = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the defaults are %+v\nwant %+v", got, want)
	}
}

// Every option arrives where it is read; and what has no effect because nothing is
// waited for is no mistake.
func TestOptions(t *testing.T) {
	const text = `{"resource": ` + topic + `, "targets": [` + payments + `, {"account": "222222222222", "region": "eu-moon-1", "cluster": "far"}],
		"apply": {"fieldManager": "team-a", "adopt": ["kubectl-client-side-apply", "helm"], "removals": "refuse", "dryRun": true},
		"ready": {"wait": false, "timeoutSeconds": 60, "failureGraceSeconds": 0, "settleSeconds": 0, "requireGeneration": true,
			"expressions": {"current": "status.phase == 'Running'", "failed": "status.phase == 'Error'"}},
		"rollout": {"maxConcurrency": 7, "maxFailures": "50%", "exclusive": false}, "idempotencyKey": "k"}`
	got, problems := request.Parse(json.RawMessage(text), scope, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := request.Parsed{
		Operation: "apply",
		Apply: contract.ApplySettings{FieldManager: "team-a", Adopt: []string{"kubectl-client-side-apply", "helm"},
			Removals: contract.RemovalsRefuse, DryRun: true},
		Ready: contract.ReadySettings{TimeoutSeconds: 60, RequireGeneration: true,
			Expressions: &contract.ReadyExpressions{Current: "status.phase == 'Running'", Failed: "status.phase == 'Error'"}},
		Rollout:        defaults(7, false),
		IdempotencyKey: "k",
		Labels:         map[string]string{},
	}
	want.Rollout.MaxFailures = waves.Budget{Percent: 50}
	got.Resources, got.Targets = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What judges is known before anything starts.
func TestRule(t *testing.T) {
	rollout := `{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "a", "namespace": "b"}}`
	for _, test := range []struct{ resource, ready, want string }{
		{rollout, `{}`, "Argo CD's health check for argoproj.io/Rollout"},
		{rollout, `{"condition": "Available"}`, "condition Available"},
		{rollout, `{"expressions": {"current": "status.phase == 'Healthy'"}}`, "the request's expressions"},
		{topic, `{}`, "condition Ready"},
	} {
		text := fmt.Sprintf(`{"resource": %s, "targets": [%s], "ready": %s}`, test.resource, payments, test.ready)
		got, problems := request.Parse(json.RawMessage(text), scope, nil)
		if len(problems) > 0 {
			t.Error(problems)
		} else if got.Rules()[0] != test.want {
			t.Errorf("%s is judged by %s, want %s", test.ready, got.Rules()[0], test.want)
		}
	}
}

func TestMaxFailures(t *testing.T) {
	targets := make([]string, 25)
	for i := range targets {
		targets[i] = strings.Replace(payments, "payments", fmt.Sprint("c", i), 1)
	}
	fleet := "[" + strings.Join(targets, ",") + "]"
	for value, want := range map[string]int{`0`: 0, `3`: 3, `1000`: 25, `"0%"`: 0, `"10%"`: 2, `"100%"`: 25} {
		text := fmt.Sprintf(`{"resource": %s, "targets": %s, "rollout": {"maxFailures": %s}}`, topic, fleet, value)
		got, problems := request.Parse(json.RawMessage(text), scope, nil)
		if len(problems) > 0 || got.Rollout.MaxFailures.Of(25) != want {
			t.Errorf("%s of 25 is %d, want %d (%v)", value, got.Rollout.MaxFailures.Of(25), want, problems)
		}
	}
}

// What an apply must not claim is taken out, so that an object read from a
// cluster can be given as it is; whole numbers are kept.
func TestResource(t *testing.T) {
	const given = `{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "status": {"x": 1},
		"metadata": {"name": "orders", "labels": {"a": "b"}, "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
			"ownerReferences": [], "finalizers": null, "creationTimestamp": null, "deletionTimestamp": null, "uid": "1",
			"resourceVersion": "2", "managedFields": [], "generation": 4, "selfLink": "x"},
		"spec": {"partitions": 3, "retentionBytes": 9007199254740991}}`
	got, problems := request.Parse(json.RawMessage(with("resource", given)), scope, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	body, err := json.Marshal(got.Resources[0].Object)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"apiVersion":"messaging.example.com/v1","kind":"Topic","metadata":{"labels":{"a":"b"},"name":"orders"},"spec":{"partitions":3,"retentionBytes":9007199254740991}}`
	if string(body) != want {
		t.Errorf("got  %s\nwant %s", body, want)
	}
	if got.Resources[0].Ref != (contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Name: "orders"}) {
		t.Errorf("it is named %+v", got.Resources[0].Ref)
	}
}

// What else is annotated stays.
func TestAnnotations(t *testing.T) {
	got, problems := request.Parse(json.RawMessage(with("resource", withMetadata(
		`"annotations": {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}`))), scope, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	annotations := got.Resources[0].Object["metadata"].(map[string]any)["annotations"]
	if want := map[string]any{"note": "x"}; !reflect.DeepEqual(annotations, want) {
		t.Errorf("the annotations are %v", annotations)
	}
}

// The hash is of what the caller asked for: not of how it is written, of the key
// it belongs to, or of who started it; and of every field, known or not.
func TestHash(t *testing.T) {
	hash := func(text string) string {
		t.Helper()
		sum, err := request.Hash(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	const first = `{"resource": {"kind": "Topic", "spec": {"n": 1, "big": 9007199254740991}}, "targets": []}`
	for _, same := range []string{
		`{"targets":[],"resource":{"spec":{"big":9007199254740991,"n":1},"kind":"Topic"}}`,
		`{"targets":[],"resource":{"spec":{"big":9007199254740991,"n":1.0},"kind":"\u0054opic"}}`,
		strings.Replace(first, "{", `{"idempotencyKey": "k", `, 1),
		strings.Replace(first, "{", `{"AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn", `, 1),
	} {
		if hash(same) != hash(first) {
			t.Errorf("hashed as another request: %s", same)
		}
	}
	for _, other := range []string{
		`{}`,
		strings.Replace(first, `"n": 1`, `"n": 2`, 1),
		strings.Replace(first, "9007199254740991", "9007199254740990", 1),
		strings.Replace(first, "{", `{"apply": {}, `, 1),
		strings.Replace(first, "{", `{"aFieldOfALaterVersion": null, `, 1),
	} {
		if hash(other) == hash(first) {
			t.Errorf("hashed as the same request: %s", other)
		}
	}
	// A hash that is stored must be found again by every later version.
	if got := hash(`{"operation": "apply"}`); got != "c238827310acdb3ac70b105b008aa1eff1de19cf63256e3c1eca76e32b96aecd" {
		t.Errorf("the hash has changed: %s", got)
	}
	if _, err := request.Hash(json.RawMessage(`[1]`)); err == nil {
		t.Error("a list has a hash")
	}
}

// Every example of a request is valid.
func TestExamples(t *testing.T) {
	entries, err := examples.Files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".asl.json") {
			continue
		}
		count++
		body, err := examples.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		const now = "arn:aws:states:eu-west-1:999999999999:execution:crossapply:now"
		retry, problems := request.RetryOf(body, now)
		if retry == nil && len(problems) == 0 {
			var rollback *request.Rollback
			if rollback, problems = request.RollbackOf(body, now); rollback == nil && len(problems) == 0 {
				_, problems = request.Parse(body, scope, nil)
			}
		}
		if len(problems) > 0 {
			t.Errorf("examples/%s: %v", name, problems)
		}
	}
	if count == 0 {
		t.Error("there are no examples")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(with("operation", `"apply"`))
	f.Add(`{"targets": [{"account": "1"}], "rollout": {"maxFailures": "5%"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, problems := request.Parse(json.RawMessage(text), scope, nil); len(problems) > 0 {
			if fault.NameOf(request.Refusal(problems)) != fault.InvalidRequest {
				t.Errorf("%v", problems)
			}
		} else if _, err := request.Hash(json.RawMessage(text)); err != nil {
			t.Errorf("accepted, but without a hash: %v", err)
		}
	})
}
