package mapresults_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mapresults"
)

// entry is what a Map writes about the child of a target.
func entry(i int, status string, fields map[string]any) map[string]any {
	input, _ := json.Marshal(contract.Item{Phase: contract.Phase{Number: 1, Kind: contract.PhaseWave}, TargetItem: contract.TargetItem{Target: targetOf(i)}}) // cannot fail
	e := map[string]any{"Input": string(input), "Status": status, "StartDate": "2026-01-02T12:00:00.000Z", "StopDate": "2026-01-02T12:00:01.500Z"}
	maps.Copy(e, fields)
	return e
}

func succeeded(i int) map[string]any {
	output, _ := json.Marshal(contract.Result{Target: targetOf(i), Outcome: contract.OutcomeReady, Change: contract.Created}) // cannot fail
	return entry(i, "SUCCEEDED", map[string]any{"Output": string(output)})
}

func failed(i int) map[string]any {
	return entry(i, "FAILED", map[string]any{"Error": "CrossApply.Conflict", "Cause": `{"errorMessage": "owned", "errorType": "CrossApply.Conflict"}`})
}

var now = time.Date(2026, 1, 2, 13, 0, 0, 0, time.UTC)

// only returns the one child of a file.
func only(t *testing.T, e any) mapresults.Child {
	t.Helper()
	b := bucket{}
	b.put(file("SUCCEEDED_0"), []any{e})
	var children []mapresults.Child
	if _, lost, err := mapresults.Read(t.Context(), b, prefix, []string{file("SUCCEEDED_0")}, func(c mapresults.Child) { children = append(children, c) }); err != nil || len(lost) != 0 {
		t.Fatalf("lost %q, %v", lost, err)
	}
	if len(children) != 1 {
		t.Fatalf("%d children", len(children))
	}
	return children[0]
}

func TestResult(t *testing.T) {
	without := map[string]any{"StartDate": nil, "StopDate": nil}
	skipped := map[string]any{"Output": `{"account": "111111111111", "region": "eu-west-1", "cluster": "c1", "outcome": "Skipped", ` +
		`"error": "CrossApply.ClusterUnreachable", "message": "{\"errorMessage\": \"it does not answer\"}"}`}
	tests := []struct {
		name string
		e    any
		want contract.Result
	}{
		{"succeeded", succeeded(1), contract.Result{Outcome: "Ready", Change: "created", Seconds: 1.5}},
		{"failed", failed(1), contract.Result{Outcome: "Failed", Error: "CrossApply.Conflict", Message: "owned", Seconds: 1.5}},
		{"not Ready in time", entry(1, "FAILED", map[string]any{"Error": string(fault.ReadyTimeout), "Cause": "in plain words"}),
			contract.Result{Outcome: "TimedOut", Error: "CrossApply.ReadyTimeout", Message: "in plain words", Seconds: 1.5}},
		{"the service ended it", entry(1, "TIMED_OUT", map[string]any{"Error": "States.Timeout"}),
			contract.Result{Outcome: "Failed", Error: "States.Timeout", Message: "Step Functions ended the target with States.Timeout", Seconds: 1.5}},
		{"tolerated", entry(1, "SUCCEEDED", skipped),
			contract.Result{Outcome: "Skipped", Error: "CrossApply.ClusterUnreachable", Message: "it does not answer", Seconds: 1.5}},
		{"aborted", entry(1, "ABORTED", nil), contract.Result{Outcome: "Stopped", Message: "the rollout ended while this target was worked on", Seconds: 1.5}},
		{"aborted before it began", entry(1, "ABORTED", without), contract.Result{Outcome: "NotStarted", Message: mapresults.NotStarted}},
		{"aborted when nobody knows", entry(1, "ABORTED", map[string]any{"StopDate": nil}),
			contract.Result{Outcome: "Stopped", Change: "unknown", ChangeUnknown: "may still have been at work", Message: "the rollout ended while this target was worked on"}},
		{"aborted just now", entry(1, "ABORTED", map[string]any{"StopDate": now.Add(-59 * time.Second).Format(time.RFC3339), "StartDate": now.Add(-time.Minute).Format(time.RFC3339)}),
			contract.Result{Outcome: "Stopped", Change: "unknown", ChangeUnknown: "may still have been at work", Message: "the rollout ended while this target was worked on", Seconds: 1}},
		{"aborted when its function had to be over", entry(1, "ABORTED", map[string]any{"StopDate": now.Add(-60 * time.Second).Format(time.RFC3339)}),
			contract.Result{Outcome: "Stopped", Message: "the rollout ended while this target was worked on", Seconds: 59 * 60}},
		{"pending, with the item as it was read", entry(1, "PENDING", map[string]any{"StartDate": nil, "StopDate": nil,
			"Input": `{"account": "111111111111", "region": "eu-west-1", "cluster": "c1"}`}), contract.Result{Outcome: "NotStarted", Message: mapresults.NotStarted}},
		{"times that cannot be read", entry(1, "FAILED", map[string]any{"Error": "CrossApply.Conflict", "Cause": "owned", "StartDate": "yesterday", "StopDate": "today"}),
			contract.Result{Outcome: "Failed", Error: "CrossApply.Conflict", Message: "owned"}},
	}
	for _, test := range tests {
		c := only(t, test.e)
		target, err := c.Target()
		if err != nil || target != targetOf(1) {
			t.Errorf("%s: about %s, %v", test.name, target, err)
		}
		got, err := c.Result(target, now)
		if strings.Contains(got.ChangeUnknown, test.want.ChangeUnknown) && test.want.ChangeUnknown != "" {
			got.ChangeUnknown = test.want.ChangeUnknown
		}
		if test.want.Target = target; err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		}
	}
}

// A child that lists the clusters of an account is about that account.
func TestAccount(t *testing.T) {
	c := only(t, entry(1, "FAILED", map[string]any{"Error": "CrossApply.ListClustersDenied", "Input": `{"account": "222222222222", "regions": ["eu-west-1"], "tags": true}`}))
	target, err := c.Target()
	if err != nil || target != (contract.Target{Account: "222222222222"}) {
		t.Errorf("about %+v, %v", target, err)
	}
	if got, err := c.Result(target, now); err != nil || got.Error != "CrossApply.ListClustersDenied" || got.Target != target {
		t.Errorf("got %+v, %v", got, err)
	}
	if phase := c.Phase(); phase != (contract.Phase{}) {
		t.Errorf("in phase %+v", phase)
	}
}

func TestPhase(t *testing.T) {
	if got := only(t, succeeded(1)).Phase(); got.Number != 1 || got.Kind != contract.PhaseWave {
		t.Errorf("got %+v", got)
	}
}

// An odd entry says which target it is about, or that it does not; and is not believed.
func TestOddEntries(t *testing.T) {
	output := func(text string) any { return entry(1, "SUCCEEDED", map[string]any{"Output": text}) }
	tests := []struct {
		name  string
		odd   any
		about bool
		says  string
	}{
		{"input that is no JSON", entry(1, "SUCCEEDED", map[string]any{"Input": "{"}), false, "its input: unexpected end"},
		{"input of another shape", entry(1, "SUCCEEDED", map[string]any{"Input": `{"target": "c1"}`}), false, "its input: json: cannot unmarshal string"},
		{"no input", map[string]any{"Status": "SUCCEEDED"}, false, "its input: "},
		{"no entry", nil, false, "its input: "},
		{"an entry of another shape", 5, false, "its input: "},
		{"output that is no JSON", output("Ready"), true, "its output: invalid character"},
		{"output of another shape", output(`{"outcome": ["Ready"]}`), true, "its output: json: cannot unmarshal array"},
		{"no output", entry(1, "SUCCEEDED", nil), true, "its output: unexpected end"},
		{"an empty output", output("{}"), true, `its outcome is ""`},
		{"an outcome that there is not", output(`{"outcome": "Perfect"}`), true, `its outcome is "Perfect"`},
		{"a change that there is not", output(`{"outcome": "Ready", "change": "renamed"}`), true, `its change is "renamed"`},
		{"a proof that there is not", output(`{"outcome": "Ready", "proof": "faith"}`), true, `its proof is "faith"`},
		{"a resource's outcome that there is not", output(`{"outcome": "Ready", "resources": [{"resource": {"kind": "Topic", "name": "a"}, "outcome": "Perfect"}]}`), true,
			`Topic a: its outcome is "Perfect"`},
		{"output of another target", entry(1, "SUCCEEDED", map[string]any{"Output": succeeded(0)["Output"]}), true, "it is about " + targetOf(0).String()},
		{"a status that there is not", entry(1, "PENDING_REDRIVE", nil), true, `its status is "PENDING_REDRIVE"`},
		{"a field of another type", entry(1, "FAILED", map[string]any{"Error": 5}), true, "cannot unmarshal number"},
	}
	for _, test := range tests {
		c := only(t, test.odd)
		target, err := c.Target()
		if (err == nil) != test.about {
			t.Errorf("%s: about %s, %v", test.name, target, err)
		}
		if test.about {
			_, err = c.Result(target, now)
		}
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.HasSuffix(c.Place, "SUCCEEDED_0.json: entry 0") {
			t.Errorf("%s: %v at %s", test.name, err, c.Place)
		}
	}
}
