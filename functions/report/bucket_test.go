package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/runs"
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

func (b bucket) Get(_ context.Context, key string) ([]byte, error) {
	body, ok := b[key]
	if !ok {
		return nil, fault.New(fault.AWSError, "read %s: NoSuchKey", key)
	}
	return []byte(body), nil
}

func (b bucket) GetJSON(ctx context.Context, key string, value any) error {
	body, err := b.Get(ctx, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, value)
}

func (b bucket) PutJSON(_ context.Context, key string, value any) error {
	body, err := json.Marshal(value)
	b[key] = string(body)
	return err
}

func (b bucket) URI(key string) string { return "s3://bucket/" + key }

const (
	execution = "arn:aws:states:eu-west-1:999999999999:execution:crossapply:nightly"
	prefix    = "runs/nightly/"
	reportKey = "reports/2026-11-25/nightly.json"
)

func targetOf(i int) contract.Target {
	return contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: fmt.Sprintf("c%d", i)}
}

// put writes what the tests make up, which can be written.
func (b bucket) put(key string, value any) {
	if err := b.PutJSON(context.Background(), key, value); err != nil {
		panic(err)
	}
}

// planned is the run bucket of an execution for the targets c0, c1, ...
func planned(targets int, settings func(*contract.Run)) bucket {
	b := bucket{}
	all := make([]contract.Target, targets)
	for i := range all {
		all[i] = targetOf(i)
	}
	b.put(prefix+runs.Targets, all)
	run := contract.Run{Execution: execution, Name: "nightly", Bucket: "bucket", Prefix: prefix, Operation: "apply",
		Resource: contract.ResourceRef{Kind: "Topic", Namespace: "kafka", Name: "orders"}}
	if settings != nil {
		settings(&run)
	}
	b.put(prefix+runs.Plan, contract.PlanOutput{Run: run, TargetsKey: prefix + runs.Targets, ResultsPrefix: prefix + runs.Results, ReportKey: reportKey, Total: targets})
	return b
}

// budget sets rollout.maxFailures.
func budget(most int) func(*contract.Run) {
	return func(run *contract.Run) { run.MaxFailures = most }
}

// mapRun writes what a Map that has ended does: files of children by the name of
// their status, and a manifest.
func (b bucket) mapRun(files map[string][]any) bucket {
	named := map[string]any{"FAILED": []any{}, "PENDING": []any{}, "SUCCEEDED": []any{}}
	for status, children := range files {
		b.put(resultsFile(status), children)
		named[status] = []any{map[string]any{"Key": resultsFile(status), "Size": 1}}
	}
	b.put(manifestKey, map[string]any{"DestinationBucket": "bucket", "MapRunArn": "arn", "ResultFiles": named})
	return b
}

const manifestKey = prefix + "results/7f/manifest.json"

func resultsFile(status string) string { return prefix + "results/7f/" + status + "_0.json" }

// journaled writes a target's entry in the journal, without what the change did
// where after is nil.
func (b bucket) journaled(i int, after *journal.After) {
	before := map[string]any{"metadata": map[string]any{"generation": 3}}
	b.put(journalKey(i), journal.Entry{Before: before, After: after})
}

func journalKey(i int) string {
	return journal.Key(contract.Run{Prefix: prefix}, targetOf(i))
}

// did is what a change of a target did.
func did(change contract.Change) *journal.After {
	return &journal.After{Applied: contract.Applied{Change: change, GenerationBefore: 3, Generation: 4,
		Fields: &contract.FieldChanges{Changed: []string{".spec.partitions"}}}}
}

func failedMark(i int) string { return prefix + runs.Failed + targetOf(i).String() }

func childOf(i int, status string, fields map[string]any) map[string]any {
	input, _ := json.Marshal(contract.Item{Target: targetOf(i)}) // a struct of strings: cannot fail
	c := map[string]any{"Input": string(input), "Status": status,
		"StartDate": "2026-01-02T12:00:00.000Z", "StopDate": fmt.Sprintf("2026-01-02T12:00:%02d.500Z", i%60)}
	maps.Copy(c, fields)
	return c
}

func succeeded(i int, outcome contract.Outcome) map[string]any {
	return returned(contract.Result{Target: targetOf(i), Outcome: outcome, Change: contract.Created, Generation: 1, Message: "Ready=True"}, i)
}

// returned is a child that succeeded with that output.
func returned(output any, i int) map[string]any {
	body, err := json.Marshal(output)
	if err != nil {
		panic(err)
	}
	return childOf(i, "SUCCEEDED", map[string]any{"Output": string(body)})
}

func failed(i int, name fault.Name, message string) map[string]any {
	cause, _ := json.Marshal(map[string]string{"errorMessage": message, "errorType": string(name)})
	return childOf(i, "FAILED", map[string]any{"Error": string(name), "Cause": string(cause)})
}

func pending(i int) map[string]any {
	return childOf(i, "PENDING", map[string]any{"StartDate": nil, "StopDate": nil})
}

// report returns the answer, and every target's result.
func report(t *testing.T, store Store, broken *contract.StateError) (contract.Answer, []contract.Result) {
	t.Helper()
	answer, err := Reporter{store: store, now: time.Now}.Handle(t.Context(), contract.ReportInput{Execution: execution, RolloutError: broken})
	if err != nil {
		t.Fatal(err)
	}
	var full []contract.Result
	if err := store.GetJSON(t.Context(), reportKey, &full); err != nil {
		t.Fatal(err)
	}
	return answer, full
}
