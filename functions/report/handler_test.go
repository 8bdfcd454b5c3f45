package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mapresults"
	"github.com/crossapply/crossapply/shared/runs"
)

func TestReport(t *testing.T) {
	ready := contract.Result{Target: targetOf(0), Outcome: contract.OutcomeReady, Change: contract.Configured, GenerationBefore: 3, Generation: 4,
		Fields: &contract.FieldChanges{Added: []string{".spec.config"}}, Proof: contract.ProofGeneration, Message: "Ready=True"}
	unchanged := contract.Result{Target: targetOf(3), Outcome: contract.OutcomeUnchanged, Change: contract.Unchanged, GenerationBefore: 1, Generation: 1,
		Proof: contract.ProofUnchanged, Message: "Ready=True"}
	gated := contract.Result{Target: targetOf(7), Outcome: contract.OutcomeNotStarted, Message: "more than 2 targets have failed"}
	b := planned(8, budget(2)).mapRun(map[string][]any{
		"SUCCEEDED": {returned(ready, 0), returned(unchanged, 3), returned(gated, 7)},
		"FAILED": {
			failed(1, fault.ReadyTimeout, "c1 was not Ready"),
			childOf(4, "ABORTED", nil),
			failed(2, fault.Forbidden, "c2 says no"),
			childOf(5, "TIMED_OUT", map[string]any{"Error": "States.Timeout"}),
		},
		"PENDING": {pending(6)},
	})
	b.journaled(1, did(contract.Configured))
	b.journaled(4, nil)
	got, full := report(t, b, nil)
	fields := &contract.FieldChanges{Changed: []string{".spec.partitions"}}
	want := contract.Answer{
		Execution: execution, Operation: "apply", Resources: []contract.ResourceRef{topic}, Rules: []string{}, Inputs: []contract.InputObject{}, Labels: map[string]string{}, Waves: []contract.WaveAnswer{},
		Status: contract.StatusFailed,
		Message: "Topic kafka/orders: 2 of 8 targets succeeded (1 Ready, 1 Unchanged, 2 Failed, 1 TimedOut, 1 Stopped, 2 NotStarted); " +
			"3 failed, and 2 may",
		Total:  8,
		Counts: map[contract.Outcome]int{"Ready": 1, "Unchanged": 1, "Failed": 2, "TimedOut": 1, "Stopped": 1, "NotStarted": 2},
		Proofs: map[contract.Proof]int{"generation": 1, "unchanged": 1},
		Failed: []contract.Result{
			{Target: targetOf(1), Outcome: "TimedOut", Change: "configured", GenerationBefore: 3, Generation: 4, Fields: fields,
				Error: "CrossApply.ReadyTimeout", Message: "c1 was not Ready", Seconds: 1.5},
			{Target: targetOf(2), Outcome: "Failed", Change: "none", Error: "CrossApply.Forbidden", Message: "c2 says no", Seconds: 2.5},
			{Target: targetOf(5), Outcome: "Failed", Change: "none", Error: "States.Timeout", Message: "Step Functions ended the target with States.Timeout", Seconds: 5.5},
			{Target: targetOf(4), Outcome: "Stopped", Change: "unknown", ChangeUnknown: "the function that was to change it ended before it noted what it did",
				GenerationBefore: 3, Message: "the rollout ended while this target was worked on", Seconds: 4.5},
			{Target: targetOf(6), Outcome: "NotStarted", Message: mapresults.NotStarted},
			{Target: targetOf(7), Outcome: "NotStarted", Message: "more than 2 targets have failed", Seconds: 7.5},
		},
		Slowest: []contract.Result{
			{Target: targetOf(3), Outcome: "Unchanged", Change: "unchanged", GenerationBefore: 1, Generation: 1, Proof: "unchanged", Seconds: 3.5},
			{Target: targetOf(0), Outcome: "Ready", Change: "configured", GenerationBefore: 3, Generation: 4, Proof: "generation", Seconds: 0.5},
		},
		Notes:  []string{},
		Report: "s3://bucket/reports/2026-11-25/nightly.json",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	order := []contract.Outcome{}
	for _, result := range full {
		order = append(order, result.Outcome)
	}
	if want := []contract.Outcome{"Ready", "TimedOut", "Failed", "Unchanged", "Stopped", "Failed", "NotStarted", "NotStarted"}; !slices.Equal(order, want) {
		t.Errorf("the full report is not in the order of the request: %v", order)
	}
	if again, fullAgain := report(t, b, nil); !reflect.DeepEqual(again, got) || !reflect.DeepEqual(fullAgain, full) {
		t.Errorf("the same call again: %+v", again)
	}
}

func TestReportStatus(t *testing.T) {
	ready, unhealthy := succeeded(0, contract.OutcomeReady), failed(1, fault.Conflict, "c1")
	gated := returned(contract.Result{Target: targetOf(1), Outcome: contract.OutcomeNotStarted}, 1)
	one := map[string][]any{"SUCCEEDED": {ready}, "FAILED": {unhealthy}}
	stopped := map[string][]any{"SUCCEEDED": {ready, gated}}
	tests := []struct {
		name        string
		files       map[string][]any
		stop        bool
		maxFailures int
		broken      *contract.StateError
		want        contract.Status
		says        string // the message's end
	}{
		{"all succeeded", map[string][]any{"SUCCEEDED": {ready, succeeded(1, contract.OutcomeApplied)}}, false, 0, nil,
			contract.StatusSucceeded, "2 of 2 targets succeeded (1 Ready, 1 Applied)"},
		{"within the budget", one, false, 1, nil, contract.StatusSucceeded, "1 of 2 targets succeeded (1 Ready, 1 Failed); 1 may fail"},
		{"beyond the budget", one, false, 0, nil, contract.StatusFailed, "(1 Ready, 1 Failed); 1 failed, and 0 may"},
		{"stopped", stopped, true, 1, nil, contract.StatusFailed, "(1 Ready, 1 NotStarted); somebody stopped the rollout"},
		{"stopped when all had started", one, true, 1, nil, contract.StatusSucceeded, "(1 Ready, 1 Failed); 1 may fail"},
		{"not started", stopped, false, 1, nil, contract.StatusFailed, "(1 Ready, 1 NotStarted)"},
		{"the rollout broke", one, false, 1, &contract.StateError{Error: "States.ResultWriterFailed"}, contract.StatusFailed,
			"; the Map over the targets of wave \"1\" broke: States.ResultWriterFailed"},
		{"the results were lost", nil, false, 1, &contract.StateError{Error: "States.ResultWriterFailed"}, contract.StatusFailed,
			"0 of 2 targets succeeded (2 Stopped); the Map over the targets of wave \"1\" broke: States.ResultWriterFailed"},
		{"nothing was started", nil, false, 1, &contract.StateError{Error: "States.ItemReaderFailed"}, contract.StatusFailed,
			"0 of 2 targets succeeded (2 NotStarted); the Map over the targets of wave \"1\" broke: States.ItemReaderFailed"},
		{"no end", nil, false, 1, nil, contract.StatusFailed,
			"0 of 2 targets succeeded (2 NotStarted); the execution was stopped before it could report, or still runs: this is what is known so far"},
	}
	for _, test := range tests {
		b := planned(2, budget(test.maxFailures))
		if test.files != nil {
			b.wrote(1, test.files)
		}
		if test.files != nil || test.broken != nil {
			b.reviewed(firstWave(), test.broken)
		}
		if test.stop {
			b[prefix+runs.Stop] = ""
		}
		got, _ := report(t, b, nil)
		if got.Status != test.want || !strings.HasSuffix(got.Message, test.says) {
			t.Errorf("%s: %s, %q", test.name, got.Status, got.Message)
		}
	}
}

// What report is asked for must be an execution of this deployment that has a plan.
func TestRefused(t *testing.T) {
	tests := []struct {
		store     bucket
		execution string
		says      string
	}{
		{planned(1, nil), "nightly", "not an ARN"},
		{planned(1, nil), "arn:aws:states:eu-west-1:999999999999:execution:crossapply/Target:nightly", "child execution"},
		{planned(1, nil), "arn:aws:states:eu-west-1:999999999999:execution:another:nightly", "the execution of that name is " + execution},
		{planned(1, nil), execution + "2", "s3://bucket/runs/nightly2/plan.json"},
	}
	for _, test := range tests {
		_, err := Reporter{store: test.store, now: time.Now}.Handle(t.Context(), contract.ReportInput{Execution: test.execution})
		if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.execution, err)
		}
		if _, written := test.store[reportKey]; written {
			t.Errorf("%s: a report was written", test.execution)
		}
	}
}

// An execution that has not ended is not measured: its own report will do it.
func TestOnlyTheEndIsMeasured(t *testing.T) {
	files := map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady)}}
	dryRun := func(run *contract.Run) { run.Apply.DryRun = true }
	tests := []struct {
		store bucket
		want  bool
	}{
		{planned(1, nil).mapRun(files), true},
		{planned(1, nil), false},
		{planned(1, nil).wrote(1, files), false},
		{planned(1, dryRun).mapRun(files), true},
	}
	for i, test := range tests {
		var logs bytes.Buffer
		ctx := edge.WithLogger(t.Context(), slog.New(slog.NewJSONHandler(&logs, nil)))
		if _, err := (Reporter{store: test.store, now: time.Now}).Handle(ctx, contract.ReportInput{Execution: execution}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(logs.String(), "CloudWatchMetrics"); got != test.want {
			t.Errorf("case %d: metrics: %t", i, got)
		}
	}
}

// troubled is a bucket of which some objects cannot be read.
type troubled struct {
	bucket
	name     fault.Name
	troubles func(key string) bool
}

func (s troubled) trouble(key string) error {
	if s.troubles(key) {
		return fault.New(s.name, "read %s: no", key)
	}
	return nil
}

func (s troubled) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := s.trouble(key); err != nil {
		return nil, err
	}
	return s.bucket.Open(ctx, key)
}

func (s troubled) GetJSON(ctx context.Context, key string, value any) error {
	if err := s.trouble(key); err != nil {
		return err
	}
	return s.bucket.GetJSON(ctx, key, value)
}

// What may pass is worth a retry of the report where many targets hang on it. A
// single target's traces never are, whatever the trouble.
func TestTroubleReading(t *testing.T) {
	tests := []struct {
		name  fault.Name
		key   string
		fails bool
	}{
		{fault.Throttled, resultsFile("FAILED"), true},
		{fault.AWSUnavailable, manifestKey, true},
		{fault.AWSError, resultsFile("FAILED"), false},
		{fault.AWSError, manifestKey, false},
		{fault.AWSUnavailable, journalKey(0), false},
		{fault.AWSError, prefix + runs.Layout, true},
	}
	for _, test := range tests {
		b := planned(1, nil).mapRun(map[string][]any{"FAILED": {failed(0, fault.Conflict, "c0")}})
		b.journaled(0, nil)
		store := troubled{b, test.name, func(key string) bool { return key == test.key }}
		answer, err := Reporter{store: store, now: time.Now}.Handle(t.Context(), contract.ReportInput{Execution: execution})
		if test.fails && fault.NameOf(err) != test.name || !test.fails && (err != nil || answer.Counts[contract.OutcomeFailed] != 1) {
			t.Errorf("%s of %s: %v, %v", test.name, test.key, answer.Counts, err)
		}
	}
}

// The answer must fit the cause of a Fail state, 32,768 characters, however many
// targets fail however wordily.
func TestAnswerStaysSmall(t *testing.T) {
	const targets = 10_000
	var children []any
	for i := range targets {
		children = append(children, failed(i, fault.Invalid, strings.Repeat("ü", 300)))
	}
	got, _ := report(t, planned(targets, nil).mapRun(map[string][]any{"FAILED": children}), nil)
	if size := sizeOf(got); size > 20_000 {
		t.Errorf("the answer is %d bytes", size)
	}
	if len(got.Failed) != 20 || got.FailedOmitted != targets-20 {
		t.Errorf("%d shown, %d omitted", len(got.Failed), got.FailedOmitted)
	}
}

// Nor may words break it of which each character takes six in JSON.
func TestAnswerStaysSmallAtWorst(t *testing.T) {
	const targets = 60
	words := strings.Repeat("\x01", 2000)
	paths := func(i int) *contract.FieldChanges {
		list := slices.Repeat([]string{fmt.Sprintf(".%d.%s", i, words[:500])}, 7)
		return &contract.FieldChanges{Added: list, Changed: list, Removed: list}
	}
	b := planned(targets, func(run *contract.Run) { run.Apply.DryRun = true })
	var children []any
	for i := range targets / 2 {
		after := did(contract.Configured)
		after.Fields = paths(i)
		b.journaled(i, after)
		children = append(children, failed(i, fault.Name(words), words))
	}
	for i := targets / 2; i < targets; i++ {
		children = append(children, returned(contract.Result{Target: targetOf(i), Outcome: contract.OutcomeApplied, Change: contract.Configured,
			Fields: paths(i), Error: words, Message: words, ChangeUnknown: words}, i))
	}
	children = append(children, childOf(0, "SUCCEEDED", map[string]any{"Input": `{"target": {"cluster": "` + strings.Repeat("c", 5000) + `"}}`}))
	got, _ := report(t, b.mapRun(map[string][]any{"FAILED": children}), &contract.StateError{Error: words, Cause: words})
	if size := sizeOf(got); size > 30_000 {
		t.Errorf("the answer is %d bytes", size)
	}
	if len(got.Failed) == 0 || len(got.Failed)+got.FailedOmitted != targets/2 {
		t.Errorf("%d failed shown, %d omitted", len(got.Failed), got.FailedOmitted)
	}
	if len(got.Differences) == 0 || len(got.Differences)+got.DifferencesOmitted != targets/2 {
		t.Errorf("%d groups shown, %d omitted", len(got.Differences), got.DifferencesOmitted)
	}
}

func TestDifferences(t *testing.T) {
	change := func(change contract.Change, paths ...string) contract.Result {
		result := contract.Result{Outcome: contract.OutcomeApplied, Change: change}
		if paths != nil {
			result.Fields = &contract.FieldChanges{Changed: paths}
		}
		return result
	}
	many := []string{".a", ".b", ".c", ".d", ".e", ".f", ".g"}
	results := []contract.Result{change(contract.Created), change(contract.Configured, ".spec.partitions"), change(contract.Configured, many...)}
	for range 6 {
		results = append(results, change(contract.Configured, ".spec.partitions"))
	}
	results = append(results, change(contract.Created))
	var children []any
	for i, result := range results {
		result.Target = targetOf(i)
		children = append(children, returned(result, i))
	}
	children = append(children, failed(len(results), fault.Invalid, "no"))
	b := planned(len(results)+1, func(run *contract.Run) { run.Apply.DryRun = true }).mapRun(map[string][]any{"SUCCEEDED": children})
	got, full := report(t, b, nil)
	name := func(i int) string { return targetOf(i).String() }
	want := []contract.Differences{
		{Change: contract.Configured, Fields: &contract.FieldChanges{Changed: []string{".spec.partitions"}}, Total: 7,
			Targets: []string{name(1), name(3), name(4), name(5), name(6)}},
		{Change: contract.Created, Total: 2, Targets: []string{name(0), name(9)}},
		{Change: contract.Configured, Fields: &contract.FieldChanges{Changed: many[:5], Omitted: 2}, Total: 1, Targets: []string{name(2)}},
	}
	if !reflect.DeepEqual(got.Differences, want) || got.DifferencesOmitted != 0 {
		t.Errorf("got  %+v\nwant %+v", got.Differences, want)
	}
	if !reflect.DeepEqual(full[2].Fields.Changed, many) {
		t.Errorf("the full report has only %v", full[2].Fields)
	}
	if got.Failed[0].Change != contract.ChangeNone {
		t.Errorf("the dry run that failed: %+v", got.Failed[0])
	}
}

// Of several resources each path says which it is of.
func TestDifferencesOfSeveral(t *testing.T) {
	user := contract.ResourceRef{APIVersion: "v1", Kind: "User", Name: "app"}
	b := planned(1, func(run *contract.Run) { run.Apply.DryRun, run.Resources = true, []contract.ResourceRef{topic, user} })
	b.mapRun(map[string][]any{"SUCCEEDED": {returned(contract.Result{Target: targetOf(0), Outcome: contract.OutcomeWouldChange, Change: contract.Configured,
		Resources: []contract.ResourceResult{
			{Resource: topic, Outcome: contract.OutcomeWouldChange, Change: contract.Configured, Fields: &contract.FieldChanges{Changed: []string{".spec.a"}, Omitted: 1}},
			{Resource: user, Outcome: contract.OutcomeWouldCreate, Change: contract.Created},
		}}, 0)}})
	got, _ := report(t, b, nil)
	want := []contract.Differences{{Change: contract.Configured, Total: 1, Targets: []string{targetOf(0).String()},
		Fields: &contract.FieldChanges{Added: []string{"User app"}, Changed: []string{"Topic kafka/orders .spec.a"}, Omitted: 1}}}
	if !reflect.DeepEqual(got.Differences, want) || got.Message != "dry run of Topic kafka/orders and 1 more: 1 of 1 targets succeeded (1 WouldChange)" {
		t.Errorf("got %+v, %s", got.Differences, got.Message)
	}
}

func TestNotes(t *testing.T) {
	b := planned(1, nil).mapRun(map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady), succeeded(7, contract.OutcomeReady)}})
	var plan contract.PlanOutput
	if err := b.GetJSON(t.Context(), prefix+runs.Plan, &plan); err != nil {
		t.Fatal(err)
	}
	plan.Notes = []string{"maxConcurrency is 10"}
	b.put(prefix+runs.Plan, plan)
	got, _ := report(t, b, nil)
	if len(got.Notes) != 2 || !strings.Contains(got.Notes[0], targetOf(7).String()+" is not a target") || got.Notes[1] != "maxConcurrency is 10" {
		t.Errorf("the notes are %q", got.Notes)
	}
	if got.Status != contract.StatusSucceeded {
		t.Errorf("a result too many costs the rollout: %s", got.Message)
	}
}
