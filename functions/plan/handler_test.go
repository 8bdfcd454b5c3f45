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

func (b bucket) PutJSONOnce(ctx context.Context, key string, value any) (bool, error) {
	if _, taken := b[key]; taken {
		return false, nil
	}
	return true, b.PutJSON(ctx, key, value)
}

func (b bucket) GetJSON(_ context.Context, key string, value any) error {
	return json.Unmarshal([]byte(b[key]), value)
}

const (
	execution = "arn:aws:states:eu-west-1:999999999999:execution:crossapply:nightly"
	topic     = `{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "metadata": {"name": "orders", "namespace": "kafka"}, "spec": {"partitions": 3}}`
	payments  = `{"account": "111111111111", "region": "eu-west-1", "cluster": "payments"}`
)

// input returns a valid request with some fields replaced or added.
func input(fields map[string]string) string {
	all := map[string]string{"resource": topic, "targets": "[" + payments + "]"}
	for name, value := range fields {
		all[name] = value
	}
	var parts []string
	for name, value := range all {
		parts = append(parts, fmt.Sprintf("%q: %s", name, value))
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
	out, store, err := plan1(t, input(map[string]string{
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
	out, _, err := plan1(t, input(nil))
	if err != nil {
		t.Fatal(err)
	}
	if out.MaxConcurrency != 50 || out.MaxFailures != 0 || out.Run.Ready != (contract.ReadySettings{Condition: "Ready", TimeoutSeconds: 900}) {
		t.Errorf("defaults: %+v", out)
	}
}

// Of all executions with one key the first does the work. A further call for
// the same execution, after its answer was lost, goes on.
func TestIdempotencyKey(t *testing.T) {
	store := bucket{}
	given := json.RawMessage(input(map[string]string{"idempotencyKey": `"nightly/2026-01-02T03:00:00Z"`}))
	call := func(execution string) contract.PlanOutput {
		t.Helper()
		out, err := Planner{store: store, partition: "aws"}.Handle(t.Context(), contract.PlanInput{Execution: execution, Name: execution, Request: given})
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
	other := json.RawMessage(input(map[string]string{"idempotencyKey": `"nightly/2026-01-02T03:00:00Z"`, "apply": `{"dryRun": true}`}))
	_, err := Planner{store: store, partition: "aws"}.Handle(t.Context(), contract.PlanInput{Execution: "third", Name: "third", Request: other})
	if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "idempotencyKey: Invalid value: stands for another request already, that of first") {
		t.Errorf("the same key for another request: %v", err)
	}
}

// Through the function's edge, any payload that is no request ends in the named error.
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
	f.Add(input(nil))
	f.Add(`{"targets": [{"account": "1"}], "rollout": {"maxFailures": "5%"}}`)
	f.Fuzz(func(t *testing.T, request string) {
		_, store, err := plan1(t, request)
		if err != nil && (fault.NameOf(err) != fault.InvalidRequest || len(store) != 0) {
			t.Errorf("%v after %d writes", err, len(store))
		}
	})
}
