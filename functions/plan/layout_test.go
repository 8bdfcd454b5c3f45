package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// fleetOf are explicit targets of one account and Region, by the names of the clusters.
func fleetOf(t testing.TB, names string) string {
	t.Helper()
	var targets []contract.Target
	for _, name := range strings.Fields(names) {
		targets = append(targets, target(name))
	}
	return jsonOf(t, targets)
}

// Waves are laid out by what the request says, with what each of them does not say.
func TestWaves(t *testing.T) {
	tests := []struct {
		name, targets, rollout string
		// want are the waves: name, targets, and what is not as usual.
		want        string
		maxFailures int
	}{
		{"one", "a b c", `{}`, "1 a,b,c", 0},
		{"a share of all", "a b c d", `{"maxFailures": "60%"}`, "1 a,b,c,d", 2},
		{"more than there are", "a b", `{"maxFailures": 7}`, "1 a,b", 2},
		{"a canary, a quarter, the rest", "a b c d e", `{"waves": [{"name": "canary", "count": 1}, {"percent": 25, "bakeSeconds": 60}, {"approval": true, "maxFailures": "50%"}], "maxFailures": 2}`,
			"canary a fails=0; 2 b,c bakes=60; 3 d,e fails=1 approval", 2},
		{"the first wave has a budget where it says so", "a b", `{"waves": [{"count": 1, "maxFailures": 1}, {}], "maxFailures": 1}`, "1 a fails=1; 2 b", 1},
		{"what is said of all", "a b", `{"waves": [{"count": 1}, {"bakeSeconds": 0, "maxConcurrency": 3}], "bakeSeconds": 9, "maxConcurrency": 2}`,
			"1 a fails=0 bakes=9 at=2; 2 b at=3", 0},
		{"by a match, in the order of waves", "a1 b1 a2 b2", `{"waves": [{"match": {"clusters": ["b*"]}}, {"match": {"clusters": ["*"]}}]}`, "1 b1,b2 fails=0; 2 a1,a2", 0},
		{"a wave without targets", "a b", `{"waves": [{"match": {"clusters": ["z"]}}, {}]}`, "1  fails=0; 2 a,b", 0},
		{"those of no wave go last", "a b c", `{"waves": [{"match": {"clusters": ["b"]}}], "unmatched": "last"}`, "1 b fails=0; unmatched a,c", 0},
		{"which takes none where there are none", "a", `{"waves": [{"match": {"clusters": ["a"]}}], "unmatched": "last"}`, "1 a fails=0", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			out := w.mustStart(t, "nightly", selecting(fleetOf(t, test.targets), "rollout", test.rollout))
			layout := w.layout(t, "nightly")
			if got := describe(layout); got != test.want || out.Run.MaxFailures != test.maxFailures {
				t.Errorf("got  %s, %d\nwant %s, %d", got, out.Run.MaxFailures, test.want, test.maxFailures)
			}
			objects := w.objects(t)
			for i, wave := range layout.Waves {
				body, there := objects[wave.ItemsKey]
				if there != (wave.Total > 0) || strings.Count(body, `"target"`) != wave.Total || wave.ItemsKey != fmt.Sprintf("runs/nightly/items/wave-%d.json", i+1) {
					t.Errorf("wave %s has %d targets, and %s holds %s", wave.Name, wave.Total, wave.ItemsKey, body)
				}
			}
		})
	}
}

// describe writes the waves of a layout as the tests do.
func describe(layout contract.Layout) string {
	var all []string
	for i, wave := range layout.Waves {
		var names []string
		for _, target := range layout.Targets {
			if target.Wave == i+1 {
				names = append(names, target.Cluster)
			}
		}
		text := wave.Name + " " + strings.Join(names, ",")
		if wave.MaxFailures != nil {
			text += " fails=" + strconv.Itoa(*wave.MaxFailures)
		}
		if wave.BakeSeconds != 0 {
			text += " bakes=" + strconv.Itoa(wave.BakeSeconds)
		}
		if wave.MaxConcurrency != 50 {
			text += " at=" + strconv.Itoa(wave.MaxConcurrency)
		}
		if wave.Approval {
			text += " approval"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// A limit is noted once for all waves that it makes slower.
func TestMaxConcurrencyOfWaves(t *testing.T) {
	w := newWorld(t)
	w.maxConcurrency = 2
	out := w.mustStart(t, "nightly", selecting(fleetOf(t, "a b c d e f g h"), "rollout",
		`{"waves": [{"count": 1}, {"count": 3}, {"count": 3}, {"maxConcurrency": 1}], "maxConcurrency": 9}`))
	if got := describe(w.layout(t, "nightly")); got != "1 a fails=0 at=2; 2 b,c,d at=2; 3 e,f,g at=2; 4 h at=1" {
		t.Errorf("got %s", got)
	}
	if want := "At most 2 targets are worked on at once, not 9: the configuration reserves no more concurrency for the functions."; !slices.Equal(out.Notes, []string{want}) {
		t.Errorf("the notes: %q", out.Notes)
	}
}

// What is fixed by plan is what review and report decide from.
func TestRolloutOptions(t *testing.T) {
	w := newWorld(t)
	out := w.mustStart(t, "nightly", selecting(fleetOf(t, "a b"), "rollout",
		`{"concurrencyMode": "strict", "approvalTimeoutSeconds": 600, "onFailure": "rollback", "tolerate": ["CrossApply.ClusterUnreachable"], "window": {"days": ["Sat"]}}`))
	layout := w.layout(t, "nightly")
	if !layout.Strict || layout.ApprovalTimeoutSeconds != 600 || layout.Waves[0].Window.Days[0] != "Sat" ||
		out.Run.OnFailure != "rollback" || !slices.Equal(out.Run.Tolerate, []string{"CrossApply.ClusterUnreachable"}) {
		t.Errorf("%+v, of %+v", layout, out)
	}
	if out.Next.Action != contract.ActionWait || out.Next.Until == nil { // it is Thursday
		t.Errorf("next: %+v", out.Next)
	}
}

func TestOverrides(t *testing.T) {
	const overrides = `[
		{"match": {"clusters": ["a*"]}, "patch": {"spec": {"partitions": 5}}},
		{"match": {}, "waves": ["2"], "patch": {"spec": {"partitions": null, "x": 1}}},
		{"match": {"accounts": ["111111111111"]}, "waves": ["1"], "patch": {"spec": {"y": 1}}}]`
	w := newWorld(t)
	w.mustStart(t, "nightly", selecting(fleetOf(t, "b1 a1 a2 b2"), "overrides", overrides, "rollout", `{"waves": [{"count": 2}, {}]}`))
	var got []string
	for _, target := range w.layout(t, "nightly").Targets {
		got = append(got, fmt.Sprint(target.Cluster, target.Overrides))
	}
	if want := "b1[2] a1[0 2] a2[0 1] b2[1]"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
	objects := w.objects(t)
	if want := `[{"target":{"account":"111111111111","region":"eu-west-1","cluster":"a2"},"overrides":[0,1]},` +
		`{"target":{"account":"111111111111","region":"eu-west-1","cluster":"b2"},"overrides":[1]}]`; objects["runs/nightly/items/wave-2.json"] != want {
		t.Errorf("the items are %s", objects["runs/nightly/items/wave-2.json"])
	}
	if !strings.HasSuffix(objects["runs/nightly/resources.json"], `"overrides":[{"resource":0,"patch":{"spec":{"partitions":5}}},`+
		`{"resource":0,"patch":{"spec":{"partitions":null,"x":1}}},{"resource":0,"patch":{"spec":{"y":1}}}]}`) {
		t.Errorf("the resources are %s", objects["runs/nightly/resources.json"])
	}
}

// Each patch is small enough, but not what they make together.
func TestOverridesTooLarge(t *testing.T) {
	half := strings.Repeat("x", contract.MaxResourceBytes/2)
	override := func(name string) string {
		return `{"match": {"clusters": ["` + name + `"]}, "patch": {"spec": {"` + name + `": "` + half + `"}}}`
	}
	request := func(second string) string {
		return selecting(fleetOf(t, "a b"), "overrides", "["+override("a")+","+override(second)+"]")
	}
	w := newWorld(t)
	w.mustStart(t, "apart", request("b"))
	w.end("apart")
	_, err := w.start(t, "together", request("*"))
	if want := "overrides[1].patch: Invalid value: on 111111111111/eu-west-1/a: makes 20"; fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// What is only looked at, or named, has no rule; and nothing is waited for.
func TestOperations(t *testing.T) {
	w := newWorld(t)
	named := `{"group": "messaging.example.com", "version": "v1", "plural": "topics", "namespace": "kafka", "name": "orders"}`
	for i, request := range []string{
		selecting(fleetOf(t, "a"), "operation", `"get"`, "resource", named, "get", `{"fields": {"phase": "{.status.phase}"}}`),
		selecting(fleetOf(t, "a"), "operation", `"delete"`, "resource", named),
		`{"operation": "check", "targets": ` + fleetOf(t, "a") + `}`,
	} {
		name := fmt.Sprint("e", i)
		out := w.mustStart(t, name, request)
		layout := w.layout(t, name)
		if out.Run.Operation == "" || out.Run.Resources == nil || layout.Rules == nil || len(layout.Rules) != 0 || string(out.Next.Phase.Operation) != string(out.Run.Operation) {
			t.Errorf("%s: %+v, %+v", request, out, layout)
		}
	}
}

// A preview lays everything out, and touches nothing.
func TestPreview(t *testing.T) {
	w := newWorld(t)
	out := w.mustStart(t, "nightly", selecting(fleetOf(t, "a b"), "plan", "true", "rollout", `{"waves": [{"count": 1}, {}]}`))
	if !out.Preview || out.Next.Action != contract.ActionReport || describe(w.layout(t, "nightly")) != "1 a fails=0; 2 b" {
		t.Errorf("%+v", out)
	}
	w.mustStart(t, "beside", selecting(fleetOf(t, "a b"))) // it has no lock
	w.end("beside")
	w.mustStart(t, "keyed", selecting(fleetOf(t, "a b"), "plan", "true", "idempotencyKey", `"k"`))
	if out := w.mustStart(t, "real", selecting(fleetOf(t, "a b"), "idempotencyKey", `"k"`)); out.First != nil { // nor takes the key
		t.Errorf("the request itself: %+v", out)
	}
	if _, err := w.start(t, "again", retry("nightly", "")); fault.NameOf(err) != fault.InvalidRequest || !strings.Contains(err.Error(), "it was for the plan alone") {
		t.Errorf("a retry of it: %v", err)
	}
}

func BenchmarkPlan(b *testing.B) {
	var targets []contract.Target
	for i := range contract.MaxTargets {
		targets = append(targets, contract.Target{Account: fmt.Sprintf("%012d", i/100), Region: "eu-west-1", Cluster: fmt.Sprint("cluster-", i)})
	}
	request := selecting(`{"key": "inputs/fleet.json"}`)
	request = strings.Replace(request, `"targets": `, `"rollout": {"waves": [{"count": 1}, {"percent": 10}, {"match": {"clusters": ["*7"]}}, {}]}, `+
		`"overrides": [{"match": {"clusters": ["*1"]}, "patch": {"spec": {"partitions": 5}}}], "targetsFrom": `, 1)
	for b.Loop() {
		b.StopTimer()
		w := newWorld(b)
		w.put(b, "inputs/fleet.json", jsonOf(b, targets))
		b.StartTimer()
		w.mustStart(b, "nightly", request)
	}
}
