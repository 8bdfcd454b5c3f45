package main

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

func (x *target) mustDo(kind contract.PhaseKind, name contract.Operation) contract.ApplyOutput {
	x.t.Helper()
	out, err := x.do(kind, name)
	if err != nil {
		x.t.Fatal(err)
	}
	return out
}

// says is a result in full: its own String is its target's.
func says(result *contract.Result) string {
	text, _ := json.Marshal(result)
	return string(text)
}

func (x *target) live() *unstructured.Unstructured {
	x.t.Helper()
	live, err := x.topics.Get(x.t.Context(), x.in.Run.Resources[0].Name, metav1.GetOptions{})
	if err != nil {
		x.t.Fatal(err)
	}
	return live
}

// What is Ready is looked at again after its bake time.
func TestVerify(t *testing.T) {
	x := newTarget(t)
	x.mustApply(3)
	x.operator("True")
	x.next()
	out := x.mustApply(3)
	if len(out.Result.Stood) != 1 || out.Result.Stood[0].Generation != 1 || out.Result.Stood[0].Transition != "2026-01-02T12:00:00Z" {
		t.Fatalf("it stood %+v", out.Result.Stood)
	}
	x.in.Stood = out.Result.Stood
	writes := len(x.store.writes)
	if out := x.mustDo(contract.PhaseCheck, operation.Verify); out.Result == nil || out.Result.Outcome != contract.OutcomeReady || out.Result.Change != contract.ChangeNone {
		t.Errorf("%s", says(out.Result))
	}
	x.operator("False")
	if _, err := x.do(contract.PhaseCheck, operation.Verify); fault.NameOf(err) != fault.Regressed {
		t.Errorf("got %v", err)
	}
	if len(x.store.writes) != writes {
		t.Errorf("it wrote %v", x.store.writes[writes:])
	}
}

func TestGet(t *testing.T) {
	x := newTarget(t)
	x.resources("null")
	if out := x.mustDo(contract.PhaseWave, operation.Get); out.Result.Outcome != contract.OutcomeNotFound || out.Result.Change != contract.ChangeNone || out.Result.ObjectKey != "" {
		t.Errorf("%s", says(out.Result))
	}
	x.mustApply(3)
	writes := len(x.store.writes)
	x.resources("null")
	out := x.mustDo(contract.PhaseWave, operation.Get)
	want := "reports/day/testget/111111111111/eu-west-1/payments/0.json"
	if out.Result.Outcome != contract.OutcomeFound || out.Result.ObjectKey != want || !strings.Contains(string(x.store.objects[want]), `"partitions":3`) {
		t.Errorf("%s, and in the bucket %s", says(out.Result), x.store.objects[want])
	}
	if len(x.store.writes) != writes+1 {
		t.Errorf("it wrote %v", x.store.writes[writes:])
	}
	x.in.Run.Get = &contract.GetOptions{Fields: map[string]string{"partitions": "{.spec.partitions}"}}
	if out = x.mustDo(contract.PhaseWave, operation.Get); len(out.Result.Values["partitions"]) != 1 || out.Result.ObjectKey != "" {
		t.Errorf("%s", says(out.Result))
	}
}

// A check of clusters alone needs no resource, and finds out as whom we are known.
func TestCheckWithoutAResource(t *testing.T) {
	x := newTarget(t)
	x.in.Run.Resources, x.in.Mappings = []contract.ResourceRef{}, nil
	out := x.mustDo(contract.PhaseWave, operation.Check)
	if out.Result.Outcome != contract.OutcomePassed || out.More || !strings.Contains(out.Result.Message, "user crossapply of the groups system:masters") {
		t.Errorf("%s", says(out.Result))
	}
	x.auth.value = "made-up"
	if _, err := x.do(contract.PhaseWave, operation.Check); fault.NameOf(err) != fault.Unauthenticated || x.auth.forgotten != 1 {
		t.Errorf("got %v", err)
	}
}

func TestDelete(t *testing.T) {
	x := newTarget(t)
	x.mustApply(3)
	x.next()
	x.resources("null")
	out := x.mustDo(contract.PhaseWave, operation.Delete)
	if out.Result == nil || out.Result.Outcome != contract.OutcomeDeleted || out.Result.Message != "Topic kafka/testdelete is gone" {
		t.Errorf("%s", says(out.Result))
	}
	entry, _ := x.journal()
	if entry.Operation != operation.Delete || entry.Before == nil || entry.After == nil || entry.After.Change != contract.Deleted || entry.After.Object != nil {
		t.Errorf("the journal says %+v", entry)
	}
}

// retain applies the Topic with another retention: its partitions cannot shrink again.
func (x *target) retain() {
	x.t.Helper()
	x.resources(strings.Replace(topic(x.in.Run.Resources[0].Name, 3), `"partitions"`, `"retention": "1h0m0s", "partitions"`, 1))
	x.mustDo(contract.PhaseWave, operation.Apply)
}

// A rollback reads the journal of what it takes back, and writes another.
func TestRollback(t *testing.T) {
	x := newTarget(t)
	x.mustApply(3)
	x.operator("True")
	x.next()
	x.in.Run.Journal = x.in.Run.Prefix
	was := x.live()
	x.retain()
	taken, _ := x.journal()
	if taken.After == nil || taken.After.Object == nil || taken.After.Object["status"] != nil {
		t.Fatalf("the journal says %+v", taken.After)
	}
	for range 2 {
		out := x.mustDo(contract.PhaseRollback, operation.Rollback)
		if out.Result == nil || out.Result.Outcome != contract.OutcomeRolledBack || out.Result.Change != contract.Configured {
			t.Errorf("%s", says(out.Result))
		}
	}
	if now := x.live(); !fields.Same(now, was) || !fields.SameOwnership(now, was) {
		t.Errorf("it is %v", now.Object)
	}
	entry, _ := x.journal()
	if entry.Operation != operation.Rollback || entry.After == nil || entry.After.Change != contract.Configured {
		t.Errorf("the journal says %+v", entry)
	}

	// A later execution that takes the same back finds it as it was.
	earlier := x.in.Run.Journal
	x.next()
	x.in.Run.Journal = earlier
	if out := x.mustDo(contract.PhaseRollback, operation.Rollback); out.Result.Outcome != contract.OutcomeRolledBack || out.Result.Change != contract.Unchanged {
		t.Errorf("again: %s", says(out.Result))
	}
}

// An apply that sets what is there already takes ownership of it, which a rollback
// gives back.
func TestRollbackOfOwnership(t *testing.T) {
	x := newTarget(t)
	theirs := &unstructured.Unstructured{}
	if err := theirs.UnmarshalJSON([]byte(topic(x.in.Run.Resources[0].Name, 3))); err != nil {
		t.Fatal(err)
	}
	if _, err := x.topics.Create(t.Context(), theirs, metav1.CreateOptions{FieldManager: "theirs"}); err != nil {
		t.Fatal(err)
	}
	was := x.live()
	if out := x.mustApply(3); out.Applied.Change != contract.Unchanged || fields.SameOwnership(was, x.live()) {
		t.Fatalf("%+v", out.Applied)
	}
	out := x.mustDo(contract.PhaseRollback, operation.Rollback)
	if out.Result.Outcome != contract.OutcomeRolledBack || !fields.SameOwnership(was, x.live()) {
		t.Errorf("%s, owned by %v", says(out.Result), x.live().GetManagedFields())
	}
	// One that changed nothing at all has nothing to give back.
	x.next()
	x.in.Run.Journal = ""
	x.in.Run.Apply.FieldManager = "theirs"
	x.mustApply(3)
	x.next()
	x.mustApply(3)
	if out := x.mustDo(contract.PhaseRollback, operation.Rollback); out.Result.Outcome != contract.OutcomeUnchanged {
		t.Errorf("%s", says(out.Result))
	}
}

// A rollback that the cluster refuses fails, and says why.
func TestRollbackIsRefused(t *testing.T) {
	x := newTarget(t)
	x.mustApply(3)
	x.next()
	x.in.Run.Journal = x.in.Run.Prefix
	x.mustApply(5)
	_, err := x.do(contract.PhaseRollback, operation.Rollback)
	if fault.NameOf(err) != fault.Invalid || !strings.Contains(err.Error(), "partitions can grow but not shrink") {
		t.Errorf("got %v", err)
	}
}

// Where nothing was changed the cluster is not called.
func TestRollbackOfNothing(t *testing.T) {
	for _, change := range []contract.Change{"", contract.Unchanged, contract.ChangeNone} {
		x := newTarget(t)
		x.auth.value = "made-up"
		if change != "" {
			entry := journal.Entry{Operation: operation.Apply, After: &journal.After{Applied: contract.Applied{Change: change}}}
			if err := x.store.PutJSON(t.Context(), journal.EarlierKey(x.in.Run, x.in.Target, 0), entry); err != nil {
				t.Fatal(err)
			}
		}
		out := x.mustDo(contract.PhaseRollback, operation.Rollback)
		if out.Result == nil || out.Result.Outcome != contract.OutcomeUnchanged || out.Result.Change != contract.ChangeNone {
			t.Errorf("%q: %s", change, says(out.Result))
		}
	}
}

// Somebody else's change since is reported, and the journal says that nothing was done.
func TestRollbackOfWhatChangedSince(t *testing.T) {
	x := newTarget(t)
	x.mustApply(3)
	x.next()
	x.in.Run.Journal = x.in.Run.Prefix
	x.retain()
	theirs := x.live()
	theirs.SetLabels(map[string]string{"team": "b"})
	if _, err := x.topics.Update(t.Context(), theirs, metav1.UpdateOptions{FieldManager: "team-b"}); err != nil {
		t.Fatal(err)
	}
	_, err := x.do(contract.PhaseRollback, operation.Rollback)
	if fault.NameOf(err) != fault.ChangedSince || !strings.Contains(err.Error(), ".metadata.labels (by team-b)") {
		t.Errorf("got %v", err)
	}
	if entry, _ := x.journal(); entry.After == nil || entry.After.Change != contract.ChangeNone {
		t.Errorf("the journal says %+v", entry.After)
	}
}

// several makes a namespace, a CRD and an object of its kind the resources of the
// execution: the last needs both of the others.
func (x *target) several() (namespace string) {
	name := x.in.Run.Name
	x.in.Run.Resources = []contract.ResourceRef{
		{APIVersion: "v1", Kind: "Namespace", Name: name},
		{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition", Name: "things." + name + ".example.com"},
		{APIVersion: name + ".example.com/v1", Kind: "Thing", Namespace: name, Name: "x"},
	}
	x.in.Mappings = []*contract.Mapping{
		{Version: "v1", Plural: "namespaces", Status: true},
		{Group: "apiextensions.k8s.io", Version: "v1", Plural: "customresourcedefinitions", Status: true},
		nil,
	}
	x.resources(
		strings.ReplaceAll(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "NAME"}}`, "NAME", name),
		strings.ReplaceAll(`{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.NAME.example.com"},
			"spec": {"group": "NAME.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{"name": "v1", "served": true, "storage": true,
			"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}}`, "NAME", name),
		strings.ReplaceAll(`{"apiVersion": "NAME.example.com/v1", "kind": "Thing", "metadata": {"name": "x", "namespace": "NAME"}, "spec": {"size": 1}}`, "NAME", name))
	return name
}

// through does an operation on all resources, and waits for none.
func (x *target) through(name contract.Operation) *contract.Result {
	x.t.Helper()
	x.in.Run.Ready.Wait = false
	x.in.Step, x.in.Result = 0, nil
	for {
		out := x.mustDo(contract.PhaseWave, name)
		if out.Result == nil {
			x.t.Fatalf("step %d waits: %+v", x.in.Step, out.Seen)
		}
		if !out.More {
			return out.Result
		}
		x.in.Step, x.in.Result = x.in.Step+1, out.Result
	}
}

func TestSeveralResources(t *testing.T) {
	x := newTarget(t)
	x.several()
	result := x.through(operation.Apply)
	if result.Outcome != contract.OutcomeApplied || result.Change != contract.Created || len(result.Resources) != 3 ||
		result.Resources[0].Resource.Kind != "Namespace" || result.Resources[2].Change != contract.Created {
		t.Errorf("%s", says(result))
	}
	for i := range 3 {
		if _, found := x.store.objects[journal.Key(x.in.Run, x.in.Phase, x.in.Target, i)]; !found {
			t.Errorf("resource %d has no entry", i)
		}
	}
	again := x.through(operation.Apply)
	if again.Resources[1].Change != contract.Created {
		t.Errorf("a repeat says %+v", again.Resources[1])
	}

	back := x.through(operation.Get)
	if back.Outcome != contract.OutcomeFound || back.Resources[2].ObjectKey != runs.ObjectKey(x.in.Run.ReportKey, x.in.Target.String(), 2) {
		t.Errorf("%s", says(back))
	}

	x.next()
	gone := x.through(operation.Delete)
	if gone.Outcome != contract.OutcomeDeleted || len(gone.Resources) != 3 || gone.Resources[0].Resource.Kind != "Thing" || gone.Resources[2].Resource.Kind != "Namespace" {
		t.Errorf("%s", says(gone))
	}
}

// What only tries cannot try a resource whose kind or namespace another one brings.
func TestTriesOfSeveralResources(t *testing.T) {
	x := newTarget(t)
	namespace := x.several()
	lonely := contract.ResourceRef{APIVersion: "v1", Kind: "ConfigMap", Namespace: namespace, Name: "x"}
	x.in.Run.Resources = append(x.in.Run.Resources, lonely)
	x.in.Mappings = append(x.in.Mappings, &contract.Mapping{Version: "v1", Plural: "configmaps", Namespaced: true})
	objects := strings.TrimSuffix(string(x.store.objects[x.in.Run.Prefix+runs.Resources]), "]}")
	x.store.objects[x.in.Run.Prefix+runs.Resources] = []byte(objects +
		strings.ReplaceAll(`, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "NAME"}}]}`, "NAME", namespace))

	checked := x.through(operation.Check)
	x.in.Run.Apply.DryRun = true
	dry := x.through(operation.Apply)
	for result, want := range map[*contract.Result]contract.Outcome{checked: contract.OutcomePassed, dry: contract.OutcomeWouldCreate} {
		if result.Outcome != want || len(result.Resources) != 4 || len(x.store.writes) > 0 {
			t.Errorf("%s", says(result))
		}
		for _, i := range []int{2, 3} {
			if r := result.Resources[i]; r.Outcome != want || !strings.Contains(r.Message, "another of the resources brings it") {
				t.Errorf("%+v", r)
			}
		}
	}
	// A namespace that nothing brings is missing.
	x.in.Run.Resources, x.in.Mappings, x.in.Step, x.in.Result = x.in.Run.Resources[3:], x.in.Mappings[3:], 0, nil
	x.resources(strings.ReplaceAll(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "NAME"}}`, "NAME", namespace))
	if _, err := x.do(contract.PhaseWave, operation.Apply); fault.NameOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}

// A rollback goes the way back, so that what lies in a namespace goes before it.
func TestRollbackOfSeveralResources(t *testing.T) {
	x := newTarget(t)
	x.several()
	x.through(operation.Apply)
	x.in.Step, x.in.Result = 0, nil
	var kinds []string
	for {
		out := x.mustDo(contract.PhaseRollback, operation.Rollback)
		if out.Result == nil { // it is being deleted
			kinds = append(kinds, "waits for "+out.Applied.UID)
			break
		}
		kinds = append(kinds, out.Result.Resources[x.in.Step].Resource.Kind)
		if !out.More {
			break
		}
		x.in.Step, x.in.Result = x.in.Step+1, out.Result
	}
	if kinds[0] != "Thing" || len(kinds) < 2 {
		t.Errorf("taken back %v", kinds)
	}
}

// A kind that is gone since has taken with it what was created.
func TestRollbackOfAKindThatIsGone(t *testing.T) {
	x := newTarget(t)
	x.several()
	x.applier.servedPause = 0
	entry := journal.Entry{Operation: operation.Apply, After: &journal.After{Applied: contract.Applied{Change: contract.Created}, Object: map[string]any{"kind": "Thing"}}}
	if err := x.store.PutJSON(t.Context(), journal.EarlierKey(x.in.Run, x.in.Target, 2), entry); err != nil {
		t.Fatal(err)
	}
	out := x.mustDo(contract.PhaseRollback, operation.Rollback)
	if out.Result == nil || out.Result.Outcome != contract.OutcomeRolledBack || out.Result.Change != contract.Unchanged || !out.More {
		t.Errorf("%s", says(out.Result))
	}
	// What was changed cannot be brought back.
	entry.Before = map[string]any{"kind": "Thing"}
	if err := x.store.PutJSON(t.Context(), journal.EarlierKey(x.in.Run, x.in.Target, 2), entry); err != nil {
		t.Fatal(err)
	}
	if _, err := x.do(contract.PhaseRollback, operation.Rollback); fault.NameOf(err) != fault.KindNotServed {
		t.Errorf("got %v", err)
	}
}

// What was deleted backwards is brought back forwards: a namespace before what lies in
// it.
func TestRollbackOfADeletionOfSeveralResources(t *testing.T) {
	x := newTarget(t)
	done := func(change contract.Change) *journal.After {
		return &journal.After{Applied: contract.Applied{Change: change}}
	}
	for _, test := range []struct {
		operation contract.Operation
		after     *journal.After
		first     int
	}{{operation.Delete, nil, 0}, {operation.Delete, done(contract.Deleted), 0}, {operation.Rollback, done(contract.Deleted), 0}, {operation.Rollback, done(contract.Created), 1}, {operation.Apply, nil, 1}} {
		for index := range 2 {
			entry := journal.Entry{Operation: test.operation, Before: map[string]any{"kind": "Topic"}, After: test.after}
			if err := x.store.PutJSON(t.Context(), journal.EarlierKey(x.in.Run, x.in.Target, index), entry); err != nil {
				t.Fatal(err)
			}
		}
		x.in.Run.Resources = append(x.in.Run.Resources[:1], contract.ResourceRef{APIVersion: "v1", Kind: "ConfigMap", Name: "x"})
		x.in.Phase = contract.Phase{Kind: contract.PhaseRollback, Operation: operation.Rollback}
		w, err := x.applier.begin(t.Context(), x.in)
		if err != nil || w.index != test.first {
			t.Errorf("after %s, %+v, the first is resource %d, %v", test.operation, test.after, w.index, err)
		}
	}
}

// That nothing was changed is noted only where it is certain: not where the first of a
// rollback's writes was made, and the second refused.
func TestWhatIsNotedOfARefusal(t *testing.T) {
	refusal := fault.New(fault.ChangedSince, "somebody has")
	for made, want := range map[contract.Change]contract.Change{"": contract.ChangeNone, contract.Configured: ""} {
		x := newTarget(t)
		a := &attempt{store: x.store, key: "entry", operation: operation.Rollback}
		if _, err := a.begin(t.Context(), versioned(1)); err != nil {
			t.Fatal(err)
		}
		if err := a.refused(t.Context(), operation.Done{Applied: contract.Applied{Change: made}}, refusal); fault.NameOf(err) != fault.ChangedSince {
			t.Errorf("got %v", err)
		}
		entry, err := journal.Read(t.Context(), x.store, "entry")
		if err != nil || (want == "") != (entry.After == nil) || entry.After != nil && entry.After.Change != want {
			t.Errorf("%q was made: the journal says %+v, %v", made, entry.After, err)
		}
	}
}

// What is there before an attempt that is made again is what is there then; but a
// rollback tells by what it found at first what others do.
func TestWhatIsNotedOfARepeat(t *testing.T) {
	for name, want := range map[contract.Operation]int64{operation.Replace: 2, operation.Rollback: 1} {
		x := newTarget(t)
		a := &attempt{store: x.store, key: "entry", operation: name}
		for _, generation := range []int64{1, 2} {
			if _, err := a.begin(t.Context(), versioned(generation)); err != nil {
				t.Fatal(err)
			}
		}
		entry, err := journal.Read(t.Context(), x.store, "entry")
		if err != nil || objectOf(entry.Before).GetGeneration() != want || objectOf(a.entry.Before).GetGeneration() != want {
			t.Errorf("%s: the journal says %v, %v", name, entry.Before, err)
		}
	}
}

func versioned(generation int64) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGeneration(generation)
	return u
}
