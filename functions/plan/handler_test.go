package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

const (
	topic    = `{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "metadata": {"name": "orders", "namespace": "kafka"}, "spec": {"partitions": 3}}`
	payments = `{"account": "111111111111", "region": "eu-west-1", "cluster": "payments"}`
	ledger   = `{"account": "222222222222", "region": "us-east-1", "cluster": "ledger"}`
)

// input returns a valid request with some fields replaced or added.
func input(fields map[string]string) string {
	all := map[string]string{"resource": topic, "targets": "[" + payments + "]"}
	maps.Copy(all, fields)
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%q: %s", name, all[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestPlan(t *testing.T) {
	w := newWorld(t)
	const request = `{
		"targets": [` + payments + `, ` + ledger + `],
		"resource": {"apiVersion": "messaging.example.com/v1", "kind": "Topic", "status": {"x": 1},
			"metadata": {"name": "orders", "namespace": "kafka", "creationTimestamp": null, "uid": "1", "resourceVersion": "2", "managedFields": [], "generation": 4, "labels": {"a": "b"}},
			"spec": {"partitions": 3, "retentionBytes": 9007199254740991}},
		"apply": {"adopt": ["helm"]}, "ready": {"timeoutSeconds": 60}, "rollout": {"maxFailures": "50%", "maxConcurrency": 7}, "labels": {"commit": "abc"}}`
	out := w.mustStart(t, "nightly", request)
	resource := contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: "orders"}
	want := contract.PlanOutput{
		Run: contract.Run{
			Execution: arn("nightly"), Name: "nightly", Bucket: bucket, Prefix: "runs/nightly/", Journal: "runs/nightly/", Operation: "apply",
			ReportKey:   "reports/2026-11-25/nightly.json",
			Resources:   []contract.ResourceRef{resource},
			Apply:       contract.ApplySettings{FieldManager: "crossapply", Adopt: []string{"helm"}, Removals: "allow"},
			Ready:       contract.ReadySettings{Wait: true, TimeoutSeconds: 60, FailureGraceSeconds: 30, SettleSeconds: 10},
			MaxFailures: 1, Tolerate: []string{}, OnFailure: "stop",
		},
		Total: 2, Labels: map[string]string{"commit": "abc"},
	}
	planned := jsonOf(t, want)
	want.Next = &contract.Next{
		Action:   "work",
		Phase:    &contract.Phase{Number: 1, Kind: "wave", Wave: 1, Name: "1", Operation: "apply", MaxFailures: 1},
		ItemsKey: "runs/nightly/items/wave-1.json", ResultsPrefix: "runs/nightly/results/1", MaxConcurrency: 7, Total: 2,
		Counts: map[contract.Outcome]int{},
	}
	if out.Next != nil {
		want.Next.Reason = out.Next.Reason // words of package phases
	}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got  %s\nwant %s", jsonOf(t, out), jsonOf(t, want))
	}
	objects := w.objects(t)
	for key, body := range map[string]string{
		"runs/nightly/request.json": compact(t, request),
		"runs/nightly/plan.json":    planned,
		"runs/nightly/layout.json": `{"targets":[` + strings.TrimSuffix(compact(t, payments), "}") + `,"wave":1},` + strings.TrimSuffix(compact(t, ledger), "}") + `,"wave":1}],` +
			`"waves":[{"name":"1","itemsKey":"runs/nightly/items/wave-1.json","total":2,"maxConcurrency":7}],` +
			`"rules":["condition Ready"],"approvalTimeoutSeconds":86400,"strict":false}`,
		"runs/nightly/items/wave-1.json": `[{"target":` + compact(t, payments) + `},{"target":` + compact(t, ledger) + `}]`,
		// What the cluster writes is stripped, and a large integer is kept.
		"runs/nightly/resources.json": `{"resources":[{"apiVersion":"messaging.example.com/v1","kind":"Topic","metadata":{"labels":{"a":"b"},"name":"orders","namespace":"kafka"},"spec":{"partitions":3,"retentionBytes":9007199254740991}}]}`,
	} {
		if objects[key] != body {
			t.Errorf("%s:\ngot  %s\nwant %s", key, objects[key], body)
		}
	}
	if len(objects) != 6 { // these, and the lock
		t.Errorf("wrote %d objects, want 6", len(objects))
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()
	return jsonOf(t, json.RawMessage(text))
}

func jsonOf(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The functions' own concurrency bounds the request's, and the answer says so
// where that makes a difference.
func TestMaxConcurrency(t *testing.T) {
	tests := []struct {
		limit, given, targets int
		want                  int
		notes                 []string
	}{
		{limit: 0, given: 50, targets: 3, want: 50},
		{limit: 2, given: 1, targets: 3, want: 1},
		{limit: 2, given: 2, targets: 3, want: 2},
		{limit: 2, given: 50, targets: 2, want: 2},
		{limit: 2, given: 50, targets: 3, want: 2, notes: []string{
			"At most 2 targets are worked on at once, not 50: the configuration reserves no more concurrency for the functions."}},
	}
	w := newWorld(t)
	for i, test := range tests {
		var fleet []string
		for i := range test.targets {
			fleet = append(fleet, strings.Replace(payments, "payments", fmt.Sprint("c", i), 1))
		}
		w.maxConcurrency = test.limit
		out := w.mustStart(t, fmt.Sprint("e", i), input(map[string]string{
			"targets": "[" + strings.Join(fleet, ",") + "]",
			"rollout": fmt.Sprintf(`{"maxConcurrency": %d, "exclusive": false}`, test.given),
		}))
		if out.Next.MaxConcurrency != test.want || !reflect.DeepEqual(out.Notes, test.notes) {
			t.Errorf("%+v: %d, %q", test, out.Next.MaxConcurrency, out.Notes)
		}
	}
}

// Of all executions with one key the first does the work, and the others are told
// of it rather than that the resource is busy. A further call for the same
// execution, after its answer was lost, goes on.
// What the configuration does not allow is refused before anything is written.
func TestNotAllowed(t *testing.T) {
	w := newWorld(t)
	w.allowed = allowlist.List{{Group: "messaging.example.com", Kind: "Topic", Plural: "topics", Namespaces: []string{"kafka"}}}
	w.mustStart(t, "allowed", input(nil))
	w.end("allowed")
	before := len(w.objects(t))
	for _, request := range []string{
		input(map[string]string{"resource": strings.Replace(topic, `"kafka"`, `"default"`, 1)}),
		input(map[string]string{"resource": strings.Replace(topic, "messaging", "other", 1)}),
	} {
		_, err := w.start(t, "refused", request)
		if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "resource: Forbidden: the configuration of this deployment") {
			t.Errorf("%s: %v", request, err)
		}
	}
	// So is the retry of an execution that was allowed once.
	w.allowed[0].Namespaces = []string{"events"}
	if _, err := w.start(t, "again", retry("allowed", "")); fault.NameOf(err) != fault.InvalidRequest {
		t.Errorf("a retry: %v", err)
	}
	w.operations = []contract.Operation{operation.Get}
	for _, test := range []struct{ request, want string }{
		{input(nil), `operation: Unsupported value: "apply": supported values: "get"`},
		{rollback("allowed", ""), "rollback: Forbidden: the configuration of this deployment does not allow"},
	} {
		if _, err := w.start(t, "refused", test.request); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), test.want) {
			t.Errorf("an operation: %v, want %q", err, test.want)
		}
	}
	if after := len(w.objects(t)); after != before {
		t.Errorf("wrote %d objects", after-before)
	}
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	given := input(map[string]string{"idempotencyKey": `"nightly/2026-01-02T03:00:00Z"`})
	for range 2 {
		if out := w.mustStart(t, "first", given); out.First != nil || out.Total != 1 {
			t.Fatalf("the first: %+v", out)
		}
	}
	for _, ended := range []contract.FirstExecution{
		{Status: "RUNNING"},
		{Status: "SUCCEEDED", Output: `{"status":"Succeeded"}`},
		{Status: "FAILED", Error: "CrossApply.RolloutFailed", Cause: "the answer"},
		{Status: "ABORTED"},
	} {
		ended.Execution = arn("first")
		w.executions.tell(ended)
		if out := w.mustStart(t, "second", given); !reflect.DeepEqual(out, contract.PlanOutput{First: &ended}) {
			t.Errorf("the second: %+v, want %+v", out.First, ended)
		}
	}
	_, err := w.start(t, "third", input(map[string]string{"idempotencyKey": `"nightly/2026-01-02T03:00:00Z"`, "apply": `{"dryRun": true}`}))
	if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "idempotencyKey: Invalid value: stands for another request already, that of "+arn("first")) {
		t.Errorf("the same key for another request: %v", err)
	}
}

// dying is a bucket whose caller dies at one of its calls: once the call is made,
// or before.
type dying struct {
	Store
	at    int
	after bool
	calls int
}

var errDied = errors.New("the function died")

func (d *dying) do(call func() error) error {
	d.calls++
	if d.calls-1 != d.at {
		return call()
	}
	if d.after {
		_ = call() // nobody is left to be told
	}
	return errDied
}

func (d *dying) PutJSON(ctx context.Context, key string, value any) error {
	return d.do(func() error { return d.Store.PutJSON(ctx, key, value) })
}

func (d *dying) PutJSONOnce(ctx context.Context, key string, value any) (done bool, err error) {
	err = d.do(func() (err error) { done, err = d.Store.PutJSONOnce(ctx, key, value); return err })
	return done, err
}

func (d *dying) PutJSONOver(ctx context.Context, key, tag string, value any) (done bool, err error) {
	err = d.do(func() (err error) { done, err = d.Store.PutJSONOver(ctx, key, tag, value); return err })
	return done, err
}

// Wherever a call of plan dies, the same call made again ends as if nothing had
// happened.
func TestRepeatedCall(t *testing.T) {
	given := input(map[string]string{"idempotencyKey": `"k"`})
	// The lock is left over from an execution that has ended.
	before := func() world {
		w := newWorld(t)
		w.mustStart(t, "ended", input(nil))
		delete(w.executions.known, arn("ended"))
		return w
	}
	w := before()
	want := w.mustStart(t, "nightly", given)
	wantObjects := w.objects(t)
	for at := 0; ; at++ {
		for _, after := range []bool{false, true} {
			w := before()
			store := &dying{Store: w.store, at: at, after: after}
			first := w
			first.store = store
			_, err := first.start(t, "nightly", given)
			if store.calls <= at {
				if at < 7 {
					t.Errorf("plan made %d calls that write", at)
				}
				return
			}
			if !errors.Is(err, errDied) {
				t.Fatalf("call %d: %v", at, err)
			}
			if _, planned := w.objects(t)["runs/nightly/plan.json"]; planned && !after {
				t.Errorf("call %d: plan.json is not the last", at)
			}
			if out := w.mustStart(t, "nightly", given); !reflect.DeepEqual(out, want) {
				t.Errorf("call %d, %t: got  %+v\nwant %+v", at, after, out, want)
			}
			if got := w.objects(t); !maps.Equal(got, wantObjects) {
				t.Errorf("call %d, %t: the bucket holds %v", at, after, got)
			}
		}
	}
}

// Through the function's edge, any payload that is no request ends in the named error.
func TestEdgeNamesBadEvents(t *testing.T) {
	handler := edge.New("plan", t.Output(), newWorld(t).Handle)
	for _, payload := range []string{"", "{", "[]", "7", `{"execution": 7}`, `{"request": {}}`} {
		_, err := handler.Invoke(t.Context(), []byte(payload))
		var reported messages.InvokeResponse_Error
		if !errors.As(err, &reported) || reported.Type != string(fault.InvalidRequest) {
			t.Errorf("%q: got %v, want %s", payload, err, fault.InvalidRequest)
		}
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(`{"targets": [{"account": "1"}], "rollout": {"maxFailures": "5%"}}`)
	f.Add(`{"retry": {"execution": "` + arn("first") + `"}}`)
	f.Add(`{"retry": {"execution": 7}, "targets": []}`)
	f.Add(`{"rollback": {"execution": "` + arn("first") + `"}, "rollout": {"maxFailures": 1}}`)
	f.Add(input(map[string]string{"apply": `{"adopt": [""]}`}))
	f.Add(selecting(`[{"organizationalUnits": ["`+bottom+`"], "tags": {"a": [null]}}]`, "idempotencyKey", `"k"`))
	f.Add(selecting("["+payments+"]", "rollout", `{"waves": [{"match": {"clusters": ["?"]}}]}`, "idempotencyKey", `"k"`))
	f.Fuzz(func(t *testing.T, request string) {
		w := newWorld(t)
		_, err := w.start(t, "nightly", request)
		written := w.objects(t)
		// The key of a request is claimed before its targets are known.
		maps.DeleteFunc(written, func(key, _ string) bool { return strings.HasPrefix(key, runs.Claims) })
		if name := fault.NameOf(err); err != nil && (name != fault.InvalidRequest && name != fault.OrganizationDenied || len(written) != 0) {
			t.Errorf("%v after %d writes", err, len(written))
		}
	})
}
