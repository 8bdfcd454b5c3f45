package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

const (
	execution = "arn:aws:states:eu-west-1:999999999999:execution:crossapply:nightly"
	prefix    = "runs/nightly/"
)

// now is when review is called in the tests, unless they say otherwise.
var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// bucket is a run bucket in memory.
type bucket struct {
	objects map[string]string
	// calls counts the calls, and the one of the number fails has no answer.
	calls, fails int
}

func (b *bucket) answer(doing string) error {
	b.calls++
	if b.calls == b.fails {
		return fault.New(fault.AWSUnavailable, "%s: no answer", doing)
	}
	return nil
}

func (b *bucket) List(_ context.Context, prefix string) ([]string, error) {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys, b.answer("list " + prefix)
}

func (b *bucket) Exists(_ context.Context, key string) (bool, error) {
	_, ok := b.objects[key]
	return ok, b.answer("list " + key)
}

func (b *bucket) Open(_ context.Context, key string) (io.ReadCloser, error) {
	body, ok := b.objects[key]
	if !ok {
		return nil, fault.New(fault.AWSError, "read %s: NoSuchKey", key)
	}
	return io.NopCloser(strings.NewReader(body)), b.answer("read " + key)
}

func (b *bucket) GetJSON(ctx context.Context, key string, value any) error {
	body, err := b.Open(ctx, key)
	if err != nil {
		return err
	}
	return json.NewDecoder(body).Decode(value)
}

// PutJSON writes the object also where its answer is lost.
func (b *bucket) PutJSON(_ context.Context, key string, value any) error {
	b.put(key, value)
	return b.answer("write " + key)
}

func (b *bucket) PutJSONOnce(ctx context.Context, key string, value any) (bool, error) {
	if _, there := b.objects[key]; there {
		return false, b.answer("write " + key)
	}
	return true, b.PutJSON(ctx, key, value)
}

// put writes what the tests make up, which can be written.
func (b *bucket) put(key string, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	b.objects[key] = string(body)
}

func targetOf(i int) contract.Target {
	return contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: fmt.Sprintf("c%d", i)}
}

// planned is the run bucket after plan, with waves of so many targets: c0, c1, ...
func planned(sizes []int, settings func(*contract.Run, *contract.Layout)) *bucket {
	b := &bucket{objects: map[string]string{}}
	run := contract.Run{Execution: execution, Name: "nightly", Bucket: "bucket", Prefix: prefix, Journal: prefix, Operation: operation.Apply,
		Ready: contract.ReadySettings{Wait: true}, OnFailure: contract.OnFailureStop}
	layout := contract.Layout{ApprovalTimeoutSeconds: 600}
	for i, size := range sizes {
		wave := contract.PlannedWave{Name: fmt.Sprintf("w%d", i+1), Total: size, ItemsKey: prefix + runs.WaveItems(i+1), MaxConcurrency: 50}
		items := []contract.TargetItem{}
		for range size {
			// Every target has an override of its own.
			target, overrides := targetOf(len(layout.Targets)), []int{len(layout.Targets)}
			items = append(items, contract.TargetItem{Target: target, Overrides: overrides})
			layout.Targets = append(layout.Targets, contract.PlannedTarget{Target: target, Wave: i + 1, Overrides: overrides})
		}
		layout.Waves = append(layout.Waves, wave)
		b.put(wave.ItemsKey, items)
	}
	if settings != nil {
		settings(&run, &layout)
	}
	b.put(prefix+runs.Plan, contract.PlanOutput{Run: run, Total: len(layout.Targets)})
	b.put(prefix+runs.Layout, layout)
	return b
}

// results writes what the Map of a phase does when it ends: files of children by the
// name of their status, and a manifest.
func (b *bucket) results(phase int, children ...map[string]any) {
	below, files := prefix+runs.PhaseResults(phase)+"/7f/", map[string][]any{}
	for _, child := range children {
		status, _ := child["Status"].(string)
		files[status] = append(files[status], child)
	}
	named := map[string]any{}
	for status, entries := range files {
		b.put(below+status+"_0.json", entries)
		named[status] = []any{map[string]any{"Key": below + status + "_0.json"}}
	}
	b.put(below+"manifest.json", map[string]any{"DestinationBucket": "bucket", "ResultFiles": named})
}

// journaled writes the entries in the journal of a target's first resources, made in a
// phase of that kind.
func (b *bucket) journaled(kind contract.PhaseKind, i, resources int) {
	for resource := range resources {
		b.put(journal.Key(contract.Run{Prefix: prefix}, contract.Phase{Kind: kind}, targetOf(i), resource), journal.Entry{})
	}
}

func child(i int, status string, fields map[string]any) map[string]any {
	input, _ := json.Marshal(contract.Item{TargetItem: contract.TargetItem{Target: targetOf(i)}}) // a struct of strings: cannot fail
	c := map[string]any{"Input": string(input), "Status": status, "StartDate": "2026-11-25T11:00:00Z", "StopDate": "2026-11-25T11:01:00Z"}
	maps.Copy(c, fields)
	return c
}

// stood is how the object of a target was.
func stood(i int) []contract.Stood {
	return []contract.Stood{{UID: fmt.Sprintf("u%d", i), Generation: 4}}
}

func returned(i int, outcome contract.Outcome) map[string]any {
	output, _ := json.Marshal(contract.Result{Target: targetOf(i), Outcome: outcome, Stood: stood(i)}) // cannot fail
	return child(i, "SUCCEEDED", map[string]any{"Output": string(output)})
}

func failed(i int, name fault.Name) map[string]any {
	return child(i, "FAILED", map[string]any{"Error": string(name), "Cause": `{"errorMessage": "no", "errorType": "X"}`})
}

// afterWave is the input of review after the work on a wave.
func afterWave(number, wave int) contract.ReviewInput {
	return contract.ReviewInput{Execution: execution, Name: "nightly", Last: contract.Next{
		Action:   contract.ActionWork,
		Phase:    &contract.Phase{Number: number, Kind: contract.PhaseWave, Wave: wave, Name: fmt.Sprintf("w%d", wave), Operation: operation.Apply},
		ItemsKey: prefix + runs.WaveItems(wave), ResultsPrefix: prefix + runs.PhaseResults(number),
	}}
}

func review(t *testing.T, b Store, in contract.ReviewInput, at time.Time) contract.Next {
	t.Helper()
	next, err := Reviewer{store: b, now: func() time.Time { return at }}.Handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// items are those that lie at a key.
func (b *bucket) items(t *testing.T, key string) []contract.TargetItem {
	t.Helper()
	var items []contract.TargetItem
	if err := json.Unmarshal([]byte(b.objects[key]), &items); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return items
}
