package main

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// An odd entry of the Map's results costs the target that it is about: c1 here. c0
// is Ready and c2 has failed whatever the entry is.
func TestOddResults(t *testing.T) {
	ready, conflict := succeeded(0, contract.OutcomeReady), failed(2, fault.Conflict, "owned")
	output := func(text string) any { return childOf(1, "SUCCEEDED", map[string]any{"Output": text}) }
	tests := []struct {
		name string
		odd  any // beside ready
		says string
	}{
		{"input that is no JSON", childOf(1, "SUCCEEDED", map[string]any{"Input": "{"}), "SUCCEEDED_0.json: entry 1: its input: unexpected end"},
		{"input of another shape", childOf(1, "SUCCEEDED", map[string]any{"Input": `{"target": "c1"}`}), "its input: json: cannot unmarshal string"},
		{"no input", map[string]any{"Status": "SUCCEEDED"}, "its input: "},
		{"no entry", nil, "its input: "},
		{"an entry of another shape", 5, "its input: "},
		{"a target that is not in the list", succeeded(7, contract.OutcomeReady), targetOf(7).String() + " is not a target"},
		{"output that is no JSON", output("Ready"), "its output: invalid character"},
		{"output of another shape", output(`{"outcome": ["Ready"]}`), "its output: json: cannot unmarshal array"},
		{"no output", childOf(1, "SUCCEEDED", nil), "its output: unexpected end"},
		{"an empty output", output("{}"), `its outcome is ""`},
		{"an outcome that there is not", output(`{"outcome": "Perfect"}`), `its outcome is "Perfect"`},
		{"a change that there is not", output(`{"outcome": "Ready", "change": "renamed"}`), `its change is "renamed"`},
		{"a proof that there is not", output(`{"outcome": "Ready", "proof": "faith"}`), `its proof is "faith"`},
		{"output of another target", returned(contract.Result{Target: targetOf(0), Outcome: contract.OutcomeReady}, 1), "it is about " + targetOf(0).String()},
		{"a status that there is not", childOf(1, "PENDING_REDRIVE", nil), `its status is "PENDING_REDRIVE"`},
		{"a field of another type", childOf(1, "FAILED", map[string]any{"Error": 5}), "cannot unmarshal number"},
	}
	for _, test := range tests {
		b := planned(3, nil).mapRun(map[string][]any{"SUCCEEDED": {ready, test.odd}, "FAILED": {conflict}})
		expectUnreadable(t, test.name, b, test.says)
	}
}

// So does a file that cannot be read.
func TestOddFiles(t *testing.T) {
	whole := func() bucket {
		return planned(3, nil).mapRun(map[string][]any{
			"SUCCEEDED": {succeeded(0, contract.OutcomeReady), succeeded(1, contract.OutcomeReady)},
			"FAILED":    {failed(2, fault.Conflict, "owned")},
		})
	}
	file, all := resultsFile("SUCCEEDED"), whole()[resultsFile("SUCCEEDED")]
	second := strings.LastIndex(all, `,{"Input"`)
	if second < 0 {
		t.Fatal("the file has no second entry")
	}
	tests := []struct {
		name, body, says string
	}{
		{"cut off in the second entry", all[:second+20], "from entry 1 on: unexpected EOF"},
		{"cut off after the first entry", all[:second], "at its end: "},
		{"something else in it", all[:second] + "] true, ]", ""},
	}
	for _, test := range tests {
		b := whole()
		b[file] = test.body
		if test.says == "" { // what comes after the list does not matter, but c1 is not in it
			if _, got := report(t, b, nil); got[1].Outcome != contract.OutcomeNotStarted {
				t.Errorf("%s: got %+v", test.name, got[1])
			}
			continue
		}
		expectUnreadable(t, test.name, b, test.says)
	}

	b := whole()
	b.put(prefix+"results/1/7f/SUCCEEDED_1.json", []any{succeeded(0, contract.OutcomeReady)})
	b.put(file, []any{})
	delete(b, resultsFile("PENDING"))
	var m map[string]any
	if err := b.GetJSON(t.Context(), manifestKey, &m); err != nil {
		t.Fatal(err)
	}
	m["ResultFiles"].(map[string]any)["PENDING"] = []any{map[string]any{"Key": resultsFile("PENDING")}}
	b.put(manifestKey, m)
	expectUnreadable(t, "a file that is missing", b, resultsFile("PENDING")+": NoSuchKey")
}

// expectUnreadable expects that c0 is Ready, that c1's result is unreadable for a
// reason, and that c2 has failed of its own.
func expectUnreadable(t *testing.T, name string, b bucket, says string) {
	t.Helper()
	answer, got := report(t, b, nil)
	if got[0].Outcome != contract.OutcomeReady || got[2].Error != string(fault.Conflict) {
		t.Errorf("%s: other targets: %+v, %+v", name, got[0], got[2])
	}
	if got[1].Outcome != contract.OutcomeFailed || got[1].Error != string(fault.ResultUnreadable) || got[1].Change != contract.ChangeNone ||
		!strings.HasPrefix(got[1].Message, targetOf(1).String()+": ") || !strings.Contains(got[1].Message, says) {
		t.Errorf("%s: %+v", name, got[1])
	}
	if answer.Counts[contract.OutcomeFailed] != 2 {
		t.Errorf("%s: %s", name, answer.Message)
	}
}

// A broken manifest hides no file that is there.
func TestBrokenManifest(t *testing.T) {
	for _, broken := range []string{"", "[]", `{"ResultFiles": []}`, `{"ResultFiles": {"FAILED": [{"Key": 5}]}}`, `{}`} {
		b := planned(2, budget(1)).mapRun(map[string][]any{"SUCCEEDED": {succeeded(0, contract.OutcomeReady)}, "FAILED": {failed(1, fault.Conflict, "owned")}})
		b[manifestKey] = broken
		if answer, _ := report(t, b, nil); answer.Status != contract.StatusSucceeded {
			t.Errorf("%s: %s", broken, answer.Message)
		}
	}
}

// Of two results for one target neither is believed.
func TestTwoResults(t *testing.T) {
	b := planned(2, nil).mapRun(map[string][]any{
		"SUCCEEDED": {succeeded(0, contract.OutcomeReady), succeeded(1, contract.OutcomeReady)},
		"FAILED":    {failed(1, fault.Conflict, "owned")},
	})
	_, got := report(t, b, nil)
	if got[0].Outcome != contract.OutcomeReady || got[1].Error != string(fault.ResultUnreadable) || !strings.Contains(got[1].Message, "two") {
		t.Errorf("got %+v", got)
	}
}

// Times that cannot be read cost only the seconds.
func TestOddTimes(t *testing.T) {
	child := childOf(0, "FAILED", map[string]any{"Error": "CrossApply.Conflict", "StartDate": "yesterday", "StopDate": "today"})
	_, got := report(t, planned(1, nil).mapRun(map[string][]any{"FAILED": {child}}), nil)
	if got[0].Error != "CrossApply.Conflict" || got[0].Seconds != 0 {
		t.Errorf("got %+v", got[0])
	}
}

// Whatever lies in the bucket, every target is reported once, in its place, with
// what the contract promises, and twice the same.
func FuzzReport(f *testing.F) {
	whole := planned(3, nil).mapRun(map[string][]any{
		"SUCCEEDED": {succeeded(0, contract.OutcomeReady)},
		"FAILED":    {failed(1, fault.Conflict, "owned"), childOf(2, "ABORTED", nil)},
	})
	whole.journaled(1, did(contract.Configured))
	whole.put(failedMark(1), map[string]string{"error": "CrossApply.Conflict"})
	add := func(replaced map[string]string) {
		b := maps.Clone(whole)
		maps.Copy(b, replaced)
		f.Add(b[manifestKey], b[resultsFile("SUCCEEDED")], b[resultsFile("FAILED")], b[journalKey(1)], b[failedMark(1)], true)
	}
	add(nil)
	for _, text := range []string{"", "null", "[]", "{}", "[null]", "[{}]", `[{"Input":"{}"}]`, `{"ResultFiles":{"X":[{"Key":"runs/nightly/plan.json"}]}}`, `{"error":5}`, `{"after":{}}`} {
		for _, key := range []string{manifestKey, resultsFile("SUCCEEDED"), resultsFile("FAILED"), journalKey(1), failedMark(1)} {
			add(map[string]string{key: text})
		}
	}
	f.Fuzz(func(t *testing.T, manifest, succeeded, failed, entry, mark string, ended bool) {
		b := planned(3, nil)
		b[resultsFile("SUCCEEDED")], b[resultsFile("FAILED")], b[journalKey(1)], b[failedMark(1)] = succeeded, failed, entry, mark
		if ended {
			b[manifestKey] = manifest
		}
		answer, full := report(t, b, nil)
		expectWhole(t, b, answer, full)
		again, fullAgain := report(t, b, nil)
		if !reflect.DeepEqual(again, answer) || !reflect.DeepEqual(fullAgain, full) {
			t.Error("the same call again gives another answer")
		}
	})
}

// expectWhole expects what the contract promises of every answer.
func expectWhole(t *testing.T, b bucket, answer contract.Answer, full []contract.Result) {
	t.Helper()
	var targets []contract.Target
	for _, planned := range b.layout().Targets {
		targets = append(targets, planned.Target)
	}
	var reported []contract.Target
	counts := map[contract.Outcome]int{}
	for _, result := range full {
		reported = append(reported, result.Target)
		counts[result.Outcome]++
		if (result.Outcome == contract.OutcomeNotStarted) != (result.Change == "") {
			t.Errorf("%s is %s with change %q", result.Target, result.Outcome, result.Change)
		}
	}
	if !slices.Equal(reported, targets) {
		t.Errorf("the targets are %v, reported are %v", targets, reported)
	}
	total := 0
	for outcome, count := range answer.Counts {
		total += count
		if !slices.Contains(contract.Outcomes(), outcome) {
			t.Errorf("%d targets ended as %q", count, outcome)
		}
	}
	if !maps.Equal(counts, answer.Counts) || total != len(targets) || answer.Total != len(targets) {
		t.Errorf("of %d targets are counted %v, reported %v", len(targets), answer.Counts, counts)
	}
	if size := sizeOf(answer); size > 30_000 {
		t.Errorf("the answer is %d bytes", size)
	}
}
