package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/mapresults"
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

func (b bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, err := b.Get(ctx, key)
	return io.NopCloser(bytes.NewReader(body)), err
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

func (b bucket) PutJSONArray(ctx context.Context, key string, values iter.Seq[any]) error {
	return b.PutJSON(ctx, key, slices.Collect(values))
}

func (b bucket) PutJSONOnce(ctx context.Context, key string, value any) (bool, error) {
	if _, there := b[key]; there {
		return false, nil
	}
	return true, b.PutJSON(ctx, key, value)
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

// planned is the run bucket of an execution for the targets c0, c1, ... in one wave.
func planned(targets int, settings func(*contract.Run)) bucket {
	return plannedWaves(contract.Layout{Waves: []contract.PlannedWave{{Name: "1", Total: targets}}}, settings)
}

// plannedWaves is that of an execution in waves, whose layout is completed by targets.
func plannedWaves(layout contract.Layout, settings func(*contract.Run)) bucket {
	b := bucket{}
	for i, wave := range layout.Waves {
		for range wave.Total {
			layout.Targets = append(layout.Targets, contract.PlannedTarget{Target: targetOf(len(layout.Targets)), Wave: i + 1})
		}
	}
	b.put(prefix+runs.Layout, layout)
	run := contract.Run{Execution: execution, Name: "nightly", Bucket: "bucket", Prefix: prefix, ReportKey: reportKey, Operation: "apply",
		Resources: []contract.ResourceRef{topic}, Ready: contract.ReadySettings{Wait: true}, OnFailure: contract.OnFailureStop}
	if settings != nil {
		settings(&run)
	}
	b.put(prefix+runs.Plan, contract.PlanOutput{Run: run, Total: len(layout.Targets)})
	return b
}

var topic = contract.ResourceRef{APIVersion: "v1", Kind: "Topic", Namespace: "kafka", Name: "orders"}

// plan and layout read what [plannedWaves] wrote.
func (b bucket) plan() (plan contract.PlanOutput) {
	if err := b.GetJSON(context.Background(), prefix+runs.Plan, &plan); err != nil {
		panic(err)
	}
	return plan
}

func (b bucket) layout() (layout contract.Layout) {
	if err := b.GetJSON(context.Background(), prefix+runs.Layout, &layout); err != nil {
		panic(err)
	}
	return layout
}

// budget sets rollout.maxFailures.
func budget(most int) func(*contract.Run) {
	return func(run *contract.Run) { run.MaxFailures = most }
}

func firstWave() contract.Phase {
	return contract.Phase{Number: 1, Kind: contract.PhaseWave, Wave: 1, Name: "1", Operation: "apply"}
}

func check(number, of int) contract.Phase {
	return contract.Phase{Number: number, Kind: contract.PhaseCheck, Wave: of, Name: fmt.Sprint(of), Operation: "verify"}
}

func rollback(number, of int) contract.Phase {
	return contract.Phase{Number: number, Kind: contract.PhaseRollback, Wave: of, Name: fmt.Sprint(of), Operation: "rollback"}
}

// mapRun writes what is there once the first wave has ended.
func (b bucket) mapRun(files map[string][]any) bucket {
	return b.wrote(1, files).reviewed(firstWave(), nil)
}

// wrote writes what the Map of a phase does when it ends: files of children by the name
// of their status, and a manifest.
func (b bucket) wrote(phase int, files map[string][]any) bucket {
	named := map[string]any{"FAILED": []any{}, "PENDING": []any{}, "SUCCEEDED": []any{}}
	for status, children := range files {
		b.put(resultsOf(phase, status), children)
		named[status] = []any{map[string]any{"Key": resultsOf(phase, status), "Size": 1}}
	}
	b.put(manifestOf(phase), map[string]any{"DestinationBucket": "bucket", "MapRunArn": "arn", "ResultFiles": named})
	return b
}

// reviewed writes what review does when a phase has ended.
func (b bucket) reviewed(p contract.Phase, broke *contract.StateError) bucket {
	ended := contract.EndedPhase{Phase: p, Counts: map[contract.Outcome]int{}, ResultsPrefix: prefix + runs.PhaseResults(p.Number), Broke: broke}
	_, _, err := mapresults.Read(context.Background(), b, ended.ResultsPrefix, slices.Sorted(maps.Keys(b)), func(c mapresults.Child) {
		target, err := c.Target()
		result := mapresults.Unreadable(target, err)
		if err == nil {
			if believed, err := c.Result(target, time.Now()); err == nil {
				result = believed
			}
		}
		ended.Total++
		ended.Counts[result.Outcome]++
		if result.Outcome.Failed() {
			ended.Failed++
		}
	})
	if err != nil {
		panic(err)
	}
	b.put(prefix+runs.EndedPhase(p.Number), ended)
	return b
}

func manifestOf(phase int) string { return prefix + runs.PhaseResults(phase) + "/7f/manifest.json" }

func resultsOf(phase int, status string) string {
	return prefix + runs.PhaseResults(phase) + "/7f/" + status + "_0.json"
}

var manifestKey = manifestOf(1)

func resultsFile(status string) string { return resultsOf(1, status) }

// journaled writes a target's entry in the journal, without what the change did
// where after is nil.
func (b bucket) journaled(i int, after *journal.After) {
	before := map[string]any{"metadata": map[string]any{"generation": 3}}
	b.put(journalKey(i), journal.Entry{Before: before, After: after})
}

func journalKey(i int) string {
	return journal.Key(contract.Run{Prefix: prefix}, forward, targetOf(i), 0)
}

// did is what a change of a target did.
func did(change contract.Change) *journal.After {
	return &journal.After{Applied: contract.Applied{Change: change, GenerationBefore: 3, Generation: 4,
		Fields: &contract.FieldChanges{Changed: []string{".spec.partitions"}}}}
}

func failedMark(i int) string { return markOf(1, i) }

func markOf(phase, i int) string { return prefix + runs.PhaseFailed(phase) + targetOf(i).String() }

func childOf(i int, status string, fields map[string]any) map[string]any {
	input, _ := json.Marshal(contract.Item{TargetItem: contract.TargetItem{Target: targetOf(i)}}) // cannot fail
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

// report returns the answer, and every target's result, to a person; or, where the
// rollout broke, to the workflow.
func report(t *testing.T, store Store, broken *contract.StateError) (contract.Answer, []contract.Result) {
	t.Helper()
	return reportOf(t, store, contract.ReportInput{Execution: execution, RolloutError: broken})
}

// reportLast returns them to a workflow that ended for that reason.
func reportLast(t *testing.T, store Store, reason string) (contract.Answer, []contract.Result) {
	t.Helper()
	return reportOf(t, store, contract.ReportInput{Execution: execution, Last: &contract.Next{Action: contract.ActionReport, Reason: reason}})
}

func reportOf(t *testing.T, store Store, in contract.ReportInput) (contract.Answer, []contract.Result) {
	t.Helper()
	answer, err := Reporter{store: store, now: time.Now}.Handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var full []contract.Result
	if err := store.GetJSON(t.Context(), reportKey, &full); err != nil {
		t.Fatal(err)
	}
	return answer, full
}
