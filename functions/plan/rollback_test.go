package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

func rollback(name, more string) string {
	return `{"rollback": {"execution": "` + arn(name) + `"}` + more + `}`
}

// touch writes entries of the journal of an execution, for the first of its resources.
func (w world) touch(t *testing.T, name, clusters string) {
	t.Helper()
	for _, cluster := range strings.Fields(clusters) {
		w.put(t, fmt.Sprintf("runs/%s/journal/%s/0.json", name, target(cluster)), `{"before": null}`)
	}
}

// waved is a request for seven targets in three waves.
func waved(t *testing.T) string {
	t.Helper()
	return selecting(fleetOf(t, "a b c d e f g"), "rollout", `{"waves": [{"name": "canary", "count": 1}, {"count": 2, "bakeSeconds": 60}, {"name": "rest", "approval": true}], "maxFailures": 2}`,
		"apply", `{"fieldManager": "people"}`, "overrides", `[{"match": {"clusters": ["b"]}, "patch": {"spec": {"partitions": 5}}}]`)
}

// A rollback works on what was touched, the last wave first, with what the earlier
// execution was planned with.
func TestRollback(t *testing.T) {
	w := newWorld(t)
	before := w.mustStart(t, "first", waved(t))
	w.end("first")
	w.touch(t, "first", "a b d f")
	w.put(t, "runs/first/journal/rollback/"+target("g").String()+"/0.json", "{}") // of a phase that rolled back
	out := w.mustStart(t, "back", rollback("first", `, "rollout": {"maxFailures": 1, "maxConcurrency": 3}, "labels": {"ticket": "T-1"}`))
	want := before.Run
	want.Execution, want.Name, want.Prefix, want.Journal, want.Operation, want.MaxFailures = arn("back"), "back", "runs/back/", "runs/first/", "rollback", 1
	want.ReportKey = "reports/2026-11-25/back.json" // the earlier one's is another
	if !reflect.DeepEqual(out.Run, want) || out.Total != 4 || out.Labels["ticket"] != "T-1" {
		t.Errorf("got  %+v\nwant %+v", out, want)
	}
	if got := describe(w.layout(t, "back")); got != "rest d,f at=3; 2 b at=3; canary a at=3" {
		t.Errorf("the waves are %s", got)
	}
	if out.Next.Phase.Operation != "rollback" || out.Next.Phase.Kind != contract.PhaseWave || out.Next.ItemsKey != "runs/back/items/wave-1.json" {
		t.Errorf("next: %+v", out.Next)
	}
	objects := w.objects(t)
	if objects["runs/back/resources.json"] != objects["runs/first/resources.json"] {
		t.Errorf("the resources are %s", objects["runs/back/resources.json"])
	}
	if _, err := w.start(t, "beside", waved(t)); fault.NameOf(err) != fault.ResourceBusy {
		t.Errorf("beside it: %v", err)
	}

	// It can be rolled back itself, and be neither retried nor rolled back further.
	w.end("back")
	w.touch(t, "back", "d")
	if out := w.mustStart(t, "forth", rollback("back", "")); out.Run.Journal != "runs/back/" || out.Total != 1 || out.Run.Apply.FieldManager != "people" {
		t.Errorf("its own rollback: %+v", out)
	}
	if _, err := w.start(t, "again", retry("back", "")); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "it was a rollback") {
		t.Errorf("its retry: %v", err)
	}
}

func TestRollbackPreview(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", waved(t))
	w.end("first")
	w.touch(t, "first", "a")
	out := w.mustStart(t, "back", rollback("first", `, "plan": true`))
	if !out.Preview || out.Next.Action != contract.ActionReport || out.Total != 1 {
		t.Errorf("%+v", out)
	}
	w.mustStart(t, "beside", waved(t)) // it has no lock
}

// The key of a rollback stands for the rollback as it was given.
func TestRollbackWithKey(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", waved(t))
	w.end("first")
	w.touch(t, "first", "a")
	given := rollback("first", `, "idempotencyKey": "k"`)
	w.mustStart(t, "back", given)
	if out := w.mustStart(t, "again", given); out.First == nil || out.First.Execution != arn("back") {
		t.Errorf("the same again: %+v", out)
	}
}

func TestRollbackRefused(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "running", waved(t))
	w.touch(t, "running", "a")
	elsewhere := strings.Replace(waved(t), `"orders"`, `"other"`, 1)
	w.mustStart(t, "untouched", elsewhere)
	w.end("untouched")
	w.mustStart(t, "forbidden", elsewhere)
	w.end("forbidden")
	w.touch(t, "forbidden", "a")
	for _, test := range []struct{ name, request, want string }{
		{"it runs", rollback("running", ""), "it has not ended"},
		{"it touched nothing", rollback("untouched", ""), "it touched no target: there is nothing to roll back"},
		{"nothing is there", rollback("unknown", ""), "it has no plan in the run bucket"},
		{"targets", rollback("untouched", `, "targets": []`), "targets: Forbidden"},
		{"a wrong option", rollback("untouched", `, "rollout": {"maxConcurrency": 0}`), "rollout.maxConcurrency: Invalid value"},
	} {
		before := w.objects(t)
		_, err := w.start(t, "back", test.request)
		if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if after := w.objects(t); len(after) != len(before) {
			t.Errorf("%s: wrote %d objects", test.name, len(after)-len(before))
		}
	}
	w.allowed = allowlist.List{{Kind: "ConfigMap", Plural: "configmaps"}}
	if _, err := w.start(t, "back", rollback("forbidden", "")); fault.NameOf(err) != fault.InvalidRequest ||
		!strings.Contains(err.Error(), "Topic kafka/other: the configuration of this deployment does not allow") {
		t.Errorf("what is not allowed any more: %v", err)
	}
}

// A target that was skipped, or rolled back, did not succeed.
func TestRetryOfOutcomes(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", fleet(t))
	w.end("first")
	w.report(t, "first", outcomes("a", contract.OutcomeSkipped, "b", contract.OutcomeRolledBack, "c", contract.OutcomeReady, "d", contract.OutcomeUnchanged,
		"e", contract.OutcomeApplied, "f", contract.OutcomeNotStarted))
	w.mustStart(t, "second", retry("first", ""))
	if got := w.clusters(t, "second"); got != "a b f" {
		t.Errorf("the retry works on %s", got)
	}
}

// Waves take what is left, and what matches nothing of it is no mistake.
func TestRetryWithWaves(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", selecting(fleetOf(t, "a b c"), "overrides", `[{"match": {"clusters": ["a"]}, "patch": {"spec": {"partitions": 5}}}]`,
		"rollout", `{"waves": [{"match": {"clusters": ["a"]}}, {"count": 1}, {}]}`))
	w.end("first")
	w.report(t, "first", outcomes("a", contract.OutcomeReady))
	w.mustStart(t, "second", retry("first", ""))
	layout := w.layout(t, "second")
	if got := describe(layout); got != "1  fails=0; 2 b; 3 c" || slices.ContainsFunc(layout.Targets, func(t contract.PlannedTarget) bool { return t.Overrides != nil }) {
		t.Errorf("the waves are %s", got)
	}
}
