package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// bucket is a run bucket in memory.
type bucket map[string]string

func (b bucket) List(_ context.Context, prefix string) ([]string, error) {
	var keys []string
	for key := range maps.Keys(b) {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (b bucket) GetJSON(_ context.Context, key string, value any) error {
	body, ok := b[key]
	if !ok {
		return fault.New(fault.NotFound, "no %s", key)
	}
	return json.Unmarshal([]byte(body), value)
}

func (b bucket) PutJSON(_ context.Context, key string, value any) error {
	body, err := json.Marshal(value)
	b[key] = string(body)
	return err
}

func (b bucket) URI(key string) string { return "s3://bucket/" + key }

func targetOf(i int) contract.Target {
	return contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: fmt.Sprintf("c%d", i)}
}

// world is a run bucket with the targets c0, c1, ... and the Map's files.
func world(t *testing.T, targets int, files map[string][]map[string]any) bucket {
	t.Helper()
	b := bucket{}
	put := func(key string, value any) {
		if err := b.PutJSON(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	var all []contract.Target
	for i := range targets {
		all = append(all, targetOf(i))
	}
	put("runs/nightly/targets.json", all)
	resultFiles := map[string]any{"FAILED": []any{}, "PENDING": []any{}, "SUCCEEDED": []any{}}
	for kind, children := range files {
		key := "runs/nightly/results/7f/" + kind + "_0.json"
		put(key, children)
		resultFiles[kind] = []any{map[string]any{"Key": key, "Size": 1}}
	}
	if files != nil {
		put("runs/nightly/results/7f/manifest.json", map[string]any{"DestinationBucket": "bucket", "MapRunArn": "arn", "ResultFiles": resultFiles})
	}
	return b
}

func childOf(i int, status string, fields map[string]any) map[string]any {
	input, _ := json.Marshal(contract.Item{Target: targetOf(i)}) // a struct of strings: cannot fail
	c := map[string]any{"Input": string(input), "Status": status,
		"StartDate": "2026-01-02T12:00:00.000Z", "StopDate": fmt.Sprintf("2026-01-02T12:00:%02d.500Z", i%60)}
	maps.Copy(c, fields)
	return c
}

func succeeded(i int, outcome contract.Outcome) map[string]any {
	output, _ := json.Marshal(contract.Result{Target: targetOf(i), Outcome: outcome, Change: contract.Created, Generation: 1, Message: "Ready=True"})
	return childOf(i, "SUCCEEDED", map[string]any{"Output": string(output)})
}

func failed(i int, name fault.Name, message string) map[string]any {
	cause, _ := json.Marshal(map[string]string{"errorMessage": message, "errorType": string(name)})
	return childOf(i, "FAILED", map[string]any{"Error": string(name), "Cause": string(cause)})
}

func report(t *testing.T, b bucket, maxFailures int, broken *contract.StateError) contract.Answer {
	t.Helper()
	answer, err := Reporter{store: func(string) Store { return b }, now: time.Now}.Handle(t.Context(), contract.ReportInput{
		Plan: contract.PlanOutput{
			Run: contract.Run{Execution: "arn", Bucket: "bucket", Prefix: "runs/nightly/", Operation: "apply",
				Resource: contract.ResourceRef{Kind: "Topic", Namespace: "kafka", Name: "orders"}},
			TargetsKey: "runs/nightly/targets.json", ResultsPrefix: "runs/nightly/results", MaxFailures: maxFailures,
		},
		RolloutError: broken,
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestReport(t *testing.T) {
	b := world(t, 7, map[string][]map[string]any{
		"SUCCEEDED": {succeeded(0, contract.OutcomeReady), succeeded(3, contract.OutcomeUnchanged)},
		"FAILED": {
			failed(1, fault.ReadyTimeout, "c1 was not Ready"),
			childOf(4, "ABORTED", nil),
			failed(2, fault.Forbidden, "c2 says no"),
			childOf(5, "FAILED", map[string]any{"Error": "States.Timeout"}),
		},
		"PENDING": {childOf(6, "PENDING", map[string]any{"StartDate": nil, "StopDate": nil})},
	})
	broken := &contract.StateError{Error: "States.ExceedToleratedFailureThreshold", Cause: "threshold"}
	got := report(t, b, 2, broken)
	want := contract.Answer{
		Execution: "arn", Operation: "apply", Resource: contract.ResourceRef{Kind: "Topic", Namespace: "kafka", Name: "orders"},
		Status: contract.StatusFailed,
		Message: "Topic kafka/orders: 2 of 7 targets succeeded (1 Ready, 1 Unchanged, 2 Failed, 1 TimedOut, 1 Stopped, 1 NotStarted); " +
			"more than the 2 allowed failed, which ended the rollout",
		Total:  7,
		Counts: map[contract.Outcome]int{"Ready": 1, "Unchanged": 1, "Failed": 2, "TimedOut": 1, "Stopped": 1, "NotStarted": 1},
		Failed: []contract.Result{
			{Target: targetOf(1), Outcome: "TimedOut", Error: "CrossApply.ReadyTimeout", Message: "c1 was not Ready", Seconds: 1.5},
			{Target: targetOf(2), Outcome: "Failed", Error: "CrossApply.Forbidden", Message: "c2 says no", Seconds: 2.5},
			{Target: targetOf(5), Outcome: "Failed", Error: "States.Timeout", Message: "Step Functions ended the target with States.Timeout", Seconds: 5.5},
			{Target: targetOf(4), Outcome: "Stopped", Message: stopped, Seconds: 4.5},
			{Target: targetOf(6), Outcome: "NotStarted", Message: notStarted},
		},
		Slowest: []contract.Result{
			{Target: targetOf(3), Outcome: "Unchanged", Change: "created", Generation: 1, Seconds: 3.5},
			{Target: targetOf(0), Outcome: "Ready", Change: "created", Generation: 1, Seconds: 0.5},
		},
		Report:       "s3://bucket/runs/nightly/report.json",
		RolloutError: broken,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var full []contract.Result
	if err := b.GetJSON(t.Context(), "runs/nightly/report.json", &full); err != nil {
		t.Fatal(err)
	}
	order := []contract.Outcome{}
	for _, result := range full {
		order = append(order, result.Outcome)
	}
	if want := []contract.Outcome{"Ready", "TimedOut", "Failed", "Unchanged", "Stopped", "Failed", "NotStarted"}; !slices.Equal(order, want) {
		t.Errorf("the full report is not in the order of the request: %v", order)
	}
}

func TestReportStatus(t *testing.T) {
	one := map[string][]map[string]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady)}, "FAILED": {failed(1, fault.Conflict, "c1")}}
	tests := []struct {
		name        string
		files       map[string][]map[string]any
		maxFailures int
		broken      *contract.StateError
		want        contract.Status
		says        string
	}{
		{"within the budget", one, 1, nil, contract.StatusSucceeded, "1 of 2 targets succeeded (1 Ready, 1 Failed)"},
		{"beyond the budget", one, 0, nil, contract.StatusFailed, "1 of 2 targets"},
		{"the rollout broke", one, 1, &contract.StateError{Error: "States.ResultWriterFailed"}, contract.StatusFailed, "the rollout itself broke: States.ResultWriterFailed"},
		{"the results were lost", nil, 1, &contract.StateError{Error: "States.ResultWriterFailed"}, contract.StatusFailed, "0 of 2 targets succeeded (2 Stopped)"},
		{"nothing was started", nil, 1, &contract.StateError{Error: "States.ItemReaderFailed"}, contract.StatusFailed, "0 of 2 targets succeeded (2 NotStarted)"},
	}
	for _, test := range tests {
		got := report(t, world(t, 2, test.files), test.maxFailures, test.broken)
		if got.Status != test.want || !strings.Contains(got.Message, test.says) {
			t.Errorf("%s: %s, %q", test.name, got.Status, got.Message)
		}
	}
}

// The answer must fit the cause of a Fail state, 32,768 characters, however
// many targets fail however wordily.
func TestAnswerStaysSmall(t *testing.T) {
	var children []map[string]any
	for i := range 200 {
		children = append(children, failed(i, fault.Invalid, strings.Repeat("ü", 5000)))
	}
	got := report(t, world(t, 200, map[string][]map[string]any{"FAILED": children}), 0, nil)
	body, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 20_000 {
		t.Errorf("the answer is %d bytes", len(body))
	}
	if len(got.Failed) != 20 || got.FailedOmitted != 180 {
		t.Errorf("%d shown, %d omitted", len(got.Failed), got.FailedOmitted)
	}
}
