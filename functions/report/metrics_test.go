package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
)

// The lines must be what CloudWatch reads as embedded metrics: "_aws" at the
// root, and every metric it names a number or a list of at most 100 there too.
func TestMetrics(t *testing.T) {
	var logs bytes.Buffer
	ctx := edge.WithLogger(t.Context(), slog.New(slog.NewJSONHandler(&logs, nil)))
	results := []contract.Result{{Outcome: contract.OutcomeFailed, Seconds: 2}}
	for range 150 {
		results = append(results, contract.Result{Outcome: contract.OutcomeReady, Seconds: 1.5})
	}
	results = append(results, contract.Result{Outcome: contract.OutcomeNotStarted})
	emit(ctx, time.UnixMilli(1767355200000), "crossapply", results)
	type metric struct{ Name, Unit string }
	got := map[string][]int{}
	for _, raw := range bytes.Split(bytes.TrimSpace(logs.Bytes()), []byte("\n")) {
		var line struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []metric
				}
			} `json:"_aws"`
			StateMachine  string
			Outcome       string
			Targets       int
			TargetSeconds []float64
		}
		if err := json.Unmarshal(raw, &line); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		if line.AWS.Timestamp != 1767355200000 || len(line.AWS.CloudWatchMetrics) != 1 {
			t.Fatalf("the directive is wrong: %s", raw)
		}
		directive := line.AWS.CloudWatchMetrics[0]
		if directive.Namespace != "CrossApply" || !reflect.DeepEqual(directive.Dimensions, [][]string{{"StateMachine", "Outcome"}}) || line.StateMachine != "crossapply" {
			t.Errorf("the directive is %+v", directive)
		}
		var root map[string]any
		if err := json.Unmarshal(raw, &root); err != nil {
			t.Fatal(err)
		}
		for _, metric := range directive.Metrics {
			if root[metric.Name] == nil {
				t.Errorf("the directive names %s, which is not there: %s", metric.Name, raw)
			}
		}
		if wanted := line.Targets; line.Outcome != "NotStarted" && len(line.TargetSeconds) != wanted || wanted > 100 {
			t.Errorf("%d values for %d targets", len(line.TargetSeconds), wanted)
		}
		got[line.Outcome] = append(got[line.Outcome], line.Targets)
	}
	if want := map[string][]int{"Ready": {100, 50}, "Failed": {1}, "NotStarted": {1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
