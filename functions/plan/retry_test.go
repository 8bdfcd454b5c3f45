package main

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

func retry(name, more string) string {
	return `{"retry": {"execution": "` + arn(name) + `"}` + more + `}`
}

// target is one of the clusters of these tests.
func target(cluster string) contract.Target {
	return contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: cluster}
}

// outcomes are how targets ended, in the order of a report.
func outcomes(pairs ...any) []contract.Result {
	var results []contract.Result
	for i := 0; i < len(pairs); i += 2 {
		results = append(results, contract.Result{Target: target(pairs[i].(string)), Outcome: pairs[i+1].(contract.Outcome)})
	}
	return results
}

// clusters are the names of the targets that an execution is to work on.
func (w world) clusters(t *testing.T, name string) string {
	t.Helper()
	var names []string
	for _, target := range w.layout(t, name).Targets {
		names = append(names, target.Cluster)
	}
	return strings.Join(names, " ")
}

func (w world) end(name string) { w.executions.set(arn(name), types.ExecutionStatusFailed) }

// fleet is a request for six targets.
func fleet(t *testing.T) string {
	t.Helper()
	var targets []contract.Target
	for _, cluster := range strings.Fields("a b c d e f") {
		targets = append(targets, target(cluster))
	}
	return input(map[string]string{"targets": jsonOf(t, targets), "ready": `{"timeoutSeconds": 60}`,
		"rollout": `{"maxFailures": "50%"}`, "idempotencyKey": `"k"`})
}

// A retry works on what did not succeed, for whatever reason; and so does a retry
// of a retry.
func TestRetry(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", fleet(t))
	w.end("first")
	// The report may have another order, and lacks f.
	w.report(t, "first", outcomes("e", contract.OutcomeStopped, "d", contract.OutcomeNotStarted, "c", contract.OutcomeTimedOut,
		"b", contract.OutcomeFailed, "a", contract.OutcomeReady))
	out := w.mustStart(t, "second", retry("first", `, "ready": {"settleSeconds": 0}`))
	if got := w.clusters(t, "second"); got != "b c d e f" {
		t.Errorf("the retry works on %s", got)
	}
	if out.Total != 5 || out.Run.MaxFailures != 2 || out.Run.Name != "second" || out.First != nil ||
		out.Run.Ready.TimeoutSeconds != 60 || out.Run.Ready.SettleSeconds != 0 || out.Run.Resources[0].Name != "orders" {
		t.Errorf("the retry: %+v", out)
	}
	w.end("second")
	w.report(t, "second", outcomes("b", contract.OutcomeUnchanged, "c", contract.OutcomeApplied, "d", contract.OutcomeReady,
		"e", contract.OutcomeFailed, "f", contract.OutcomeReady))
	if out = w.mustStart(t, "third", retry("second", "")); out.Run.Ready.SettleSeconds != 0 {
		t.Errorf("the retry of the retry: %+v", out)
	}
	if got := w.clusters(t, "third"); got != "e" {
		t.Errorf("the retry of the retry works on %s", got)
	}
	objects := w.objects(t)
	if objects["runs/third/resources.json"] != objects["runs/first/resources.json"] {
		t.Errorf("the resource is %s", objects["runs/third/resources.json"])
	}
	if strings.Contains(objects["runs/third/request.json"], "idempotencyKey") {
		t.Errorf("the key of the first is kept: %s", objects["runs/third/request.json"])
	}
}

// An execution that was stopped before it reported is retried on all its targets.
func TestRetryWithoutReport(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", fleet(t))
	if _, err := w.start(t, "early", retry("first", "")); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), notEnded) {
		t.Errorf("while the first runs: %v", err)
	}
	w.end("first")
	w.mustStart(t, "second", retry("first", ""))
	if got := w.clusters(t, "second"); got != "a b c d e f" {
		t.Errorf("the retry works on %s", got)
	}
}

// The key of a retry stands for the retry as it was given.
func TestRetryWithKey(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "first", fleet(t))
	w.end("first")
	given := retry("first", `, "idempotencyKey": "k2"`)
	w.mustStart(t, "second", given)
	w.end("second")
	w.report(t, "first", outcomes("a", contract.OutcomeReady)) // would be another request now
	if out := w.mustStart(t, "third", given); out.First == nil || out.First.Execution != arn("second") {
		t.Errorf("the same retry again: %+v", out)
	}
}

func TestRetryRefused(t *testing.T) {
	w := newWorld(t)
	w.mustStart(t, "done", input(nil))
	w.end("done")
	w.report(t, "done", outcomes("payments", contract.OutcomeReady))
	w.mustStart(t, "failed", input(nil))
	w.end("failed")
	for _, test := range []struct{ name, text, want string }{
		{"nothing is left", retry("done", ""), "retry.execution: Invalid value: \"" + arn("done") + "\": all its targets succeeded"},
		{"nothing is there", retry("unknown", ""), "older than runDays of the configuration"},
		{"itself", retry("again", ""), "is this execution itself"},
		{"a wrong option", retry("failed", `, "ready": {"timeoutSeconds": 0}`), "the request of " + arn("failed") + ", with the fields given here, is invalid: ready.timeoutSeconds: Invalid value: 0"},
		{"targets", retry("failed", `, "targets": []`), "targets: Forbidden"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := len(w.objects(t))
			_, err := w.start(t, "again", test.text)
			if fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if after := len(w.objects(t)); after != before {
				t.Errorf("wrote %d objects", after-before)
			}
		})
	}
}
