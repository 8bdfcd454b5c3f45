package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Objects: objects})

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

func objects() ([]*unstructured.Unstructured, error) {
	crd, err := cluster.DecodeFiles(examples.Files, "crd.yaml")
	return append(crd, cluster.Namespace("kafka")), err
}

// bearer is a token that is minted elsewhere.
type bearer struct {
	value     string
	forgotten int
}

func (b *bearer) Token(context.Context, contract.Run, contract.Target) (eksauth.Token, error) {
	return eksauth.Token{Value: b.value}, nil
}

func (b *bearer) Forget(contract.Run, contract.Target) { b.forgotten++ }

// store is a bucket in memory. It fails each write for which refuse returns an
// error.
type store struct {
	objects map[string][]byte
	reads   int
	writes  []string
	refuse  func(key string) error
}

var errUnavailable = fault.New(fault.AWSUnavailable, "S3 does not answer")

func (s *store) Get(_ context.Context, key string) ([]byte, error) {
	s.reads++
	body, ok := s.objects[key]
	if !ok {
		return nil, fault.New(fault.AWSError, "no %s", key)
	}
	return body, nil
}

func (s *store) GetJSON(ctx context.Context, key string, value any) error {
	body, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, value)
}

func (s *store) Exists(_ context.Context, key string) (bool, error) {
	_, ok := s.objects[key]
	return ok, nil
}

func (s *store) PutJSON(_ context.Context, key string, value any) error {
	if s.refuse != nil {
		if err := s.refuse(key); err != nil {
			return err
		}
	}
	body, err := json.Marshal(value)
	s.objects[key] = body
	s.writes = append(s.writes, key)
	return err
}

func (s *store) PutJSONOnce(ctx context.Context, key string, value any) (bool, error) {
	if _, ok := s.objects[key]; ok {
		return false, nil
	}
	return true, s.PutJSON(ctx, key, value)
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// target is one target of a test's execution, and what its apply works with.
type target struct {
	t       *testing.T
	applier *Applier
	store   *store
	auth    *bearer
	in      contract.ApplyInput
	topics  dynamic.ResourceInterface
}

// newTarget returns the target on which a test applies a Topic of its own.
func newTarget(t *testing.T) *target {
	t.Helper()
	c := servers.Clusters(t)[0]
	admin, err := dynamic.NewForConfig(c.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	s := &store{objects: map[string][]byte{}}
	auth := &bearer{value: servers.Token(t, "crossapply", "system:masters")}
	return &target{
		t: t, store: s, auth: auth,
		applier: &Applier{auth: auth, clusters: new(kube.Clusters), now: func() time.Time { return noon }, servedPause: 200 * time.Millisecond,
			store: func(string) Store { return s }},
		in: contract.ApplyInput{
			Item: contract.Item{
				TargetItem: contract.TargetItem{Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}},
				Run: contract.Run{
					Execution: "arn:" + name, Name: name, Bucket: "runs", Prefix: runs.Prefix(name), Journal: runs.Prefix(name), ReportKey: "reports/day/" + name + ".json",
					Operation: operation.Apply,
					Resources: []contract.ResourceRef{{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: name}},
					Apply:     contract.ApplySettings{FieldManager: "crossapply"},
					Ready:     contract.ReadySettings{Wait: true, TimeoutSeconds: 60, SettleSeconds: 10},
				},
			},
			ResolveOutput: contract.ResolveOutput{
				Cluster:  contract.Cluster{Endpoint: c.Endpoint(), CA: base64.StdEncoding.EncodeToString(c.CAData)},
				Mappings: []*contract.Mapping{{Group: "messaging.example.com", Version: "v1", Plural: "topics", Namespaced: true, Status: true}},
			},
		},
		topics: admin.Resource(schema.GroupVersionResource{Group: "messaging.example.com", Version: "v1", Resource: "topics"}).Namespace("kafka"),
	}
}

// topic is a Topic with so many partitions.
func topic(name string, partitions int) string {
	return fmt.Sprintf(`{"apiVersion": "messaging.example.com/v1", "kind": "Topic", "metadata": {"name": %q, "namespace": "kafka"}, "spec": {"partitions": %d}}`, name, partitions)
}

// resources writes the resources of the execution.
func (x *target) resources(objects ...string) {
	x.store.objects[x.in.Run.Prefix+runs.Resources] = fmt.Appendf(nil, `{"resources": [%s]}`, strings.Join(objects, ", "))
	x.applier.last.key = "" // the test changes what an execution never does
}

// apply applies the Topic with so many partitions.
func (x *target) apply(partitions int) (contract.ApplyOutput, error) {
	x.t.Helper()
	x.resources(topic(x.in.Run.Resources[0].Name, partitions))
	x.in.Phase = contract.Phase{Number: 1, Kind: contract.PhaseWave, Operation: operation.Apply}
	return x.applier.Handle(x.t.Context(), x.in)
}

func (x *target) mustApply(partitions int) contract.ApplyOutput {
	x.t.Helper()
	out, err := x.apply(partitions)
	if err != nil {
		x.t.Fatal(err)
	}
	return out
}

// next makes what follows another execution's.
func (x *target) next() {
	earlier := x.in.Run.Prefix
	x.in.Run.Name += "x"
	x.in.Run.Execution, x.in.Run.Prefix = "arn:"+x.in.Run.Name, runs.Prefix(x.in.Run.Name)
	x.store.objects[x.in.Run.Prefix+runs.Resources] = x.store.objects[earlier+runs.Resources]
}

// do is another operation on the Topic, as the next step of the execution.
func (x *target) do(kind contract.PhaseKind, name contract.Operation) (contract.ApplyOutput, error) {
	x.t.Helper()
	x.in.Phase = contract.Phase{Number: x.in.Phase.Number + 1, Kind: kind, Operation: name}
	return x.applier.Handle(x.t.Context(), x.in)
}

func (x *target) journal() (entry journal.Entry, found bool) {
	x.t.Helper()
	key := journal.Key(x.in.Run, x.in.Phase, x.in.Target, 0)
	if _, found = x.store.objects[key]; !found {
		return entry, false
	}
	entry, err := journal.Read(x.t.Context(), x.store, key)
	if err != nil {
		x.t.Fatal(err)
	}
	return entry, true
}

// operator writes the status of the first generation, as the Topic's operator does.
func (x *target) operator(ready string) {
	x.t.Helper()
	live, err := x.topics.Get(x.t.Context(), x.in.Run.Resources[0].Name, metav1.GetOptions{})
	if err != nil {
		x.t.Fatal(err)
	}
	condition := map[string]any{"type": "Ready", "status": ready, "reason": "Reconciled", "message": "as specified",
		"lastTransitionTime": "2026-01-02T12:00:00Z"}
	live.Object["status"] = map[string]any{"observedGeneration": int64(1), "conditions": []any{condition}}
	if _, err := x.topics.UpdateStatus(x.t.Context(), live, metav1.UpdateOptions{FieldManager: "operator"}); err != nil {
		x.t.Fatal(err)
	}
}

func TestApply(t *testing.T) {
	x := newTarget(t)
	out := x.mustApply(3)
	if out.Applied.Change != contract.Created || out.Result != nil || out.Seen.State != "Progressing" ||
		out.Seen.ResourceVersion != out.Applied.ResourceVersion || !out.Deadline.Equal(noon.Add(time.Minute)) {
		t.Errorf("created: %+v", out)
	}
	entry, _ := x.journal()
	if entry.Before != nil || entry.After == nil || entry.After.Change != contract.Created || len(entry.After.OwnedFields) == 0 {
		t.Errorf("the journal of a creation: %+v", entry)
	}

	// What is unchanged and Ready needs no poll.
	x.operator("True")
	x.next()
	out = x.mustApply(3)
	if out.Result == nil || out.Result.Outcome != contract.OutcomeUnchanged || out.Result.Proof != contract.ProofGeneration ||
		!strings.Contains(out.Result.Message, "Ready=True (Reconciled): as specified (judged by condition Ready; proof: generation)") {
		t.Errorf("unchanged: %+v", out.Result)
	}

	x.next()
	out = x.mustApply(5)
	if out.Result != nil || out.Applied.Change != contract.Configured || out.Applied.GenerationBefore != 1 || out.Applied.Generation != 2 ||
		out.Applied.Fields == nil || len(out.Applied.Fields.Changed) != 1 || out.Applied.Fields.Changed[0] != ".spec.partitions" {
		t.Errorf("configured: %+v %+v", out.Applied, out.Applied.Fields)
	}
	entry, _ = x.journal()
	if partitions, _, _ := unstructured.NestedInt64(entry.Before, "spec", "partitions"); partitions != 3 || entry.After.Generation != 2 {
		t.Errorf("the journal of a change: %+v", entry)
	}
}

func TestNothingToWaitFor(t *testing.T) {
	x := newTarget(t)
	x.in.Run.Apply.DryRun = true
	out := x.mustApply(3)
	if out.Result == nil || out.Result.Outcome != contract.OutcomeWouldCreate || out.Result.Change != contract.Created ||
		!strings.Contains(out.Result.Message, "Ready would be judged by condition Ready") {
		t.Errorf("a dry run: %+v", out.Result)
	}
	if _, found := x.journal(); found || len(x.store.writes) > 0 {
		t.Errorf("a dry run wrote %v", x.store.writes)
	}
	x.in.Run.Apply.DryRun, x.in.Run.Ready.Wait = false, false
	out = x.mustApply(3)
	if out.Result == nil || out.Result.Outcome != contract.OutcomeApplied || out.Result.Proof != "" || !strings.Contains(out.Result.Message, "ready.wait is false") {
		t.Errorf("without a wait: %+v", out.Result)
	}
}

// Before anything is changed it stands in the journal what was there.
func TestNothingIsChangedWithoutTheJournal(t *testing.T) {
	x := newTarget(t)
	x.store.refuse = func(string) error { return errUnavailable }
	if _, err := x.apply(3); fault.NameOf(err) != fault.AWSUnavailable || !strings.HasPrefix(err.Error(), x.in.Target.String()) {
		t.Errorf("got %v", err)
	}
	if _, err := x.topics.Get(t.Context(), x.in.Run.Resources[0].Name, metav1.GetOptions{}); err == nil {
		t.Error("the object was created")
	}
}

// An apply whose answer is lost is repeated, and says what the first one did.
func TestRepeated(t *testing.T) {
	x := newTarget(t)
	x.mustApply(3)
	x.next()
	lost := true
	x.store.refuse = func(key string) error {
		if _, second := x.store.objects[key]; second && lost {
			return errUnavailable // the note after the change
		}
		return nil
	}
	if _, err := x.apply(5); !errors.Is(err, errUnavailable) {
		t.Fatalf("got %v", err)
	}
	if entry, _ := x.journal(); entry.After != nil {
		t.Fatalf("the journal says %+v", entry)
	}
	lost = false
	out := x.mustApply(5)
	if out.Applied.Change != contract.Configured || out.Applied.GenerationBefore != 1 || out.Applied.Generation != 2 {
		t.Errorf("%+v", out.Applied)
	}
}

func TestRefusals(t *testing.T) {
	t.Run("at the first attempt", func(t *testing.T) {
		x := newTarget(t)
		if _, err := x.apply(5000); fault.NameOf(err) != fault.Invalid {
			t.Fatalf("got %v", err)
		}
		if entry, found := x.journal(); !found || entry.After == nil || entry.After.Change != contract.ChangeNone {
			t.Errorf("the journal says %+v", entry)
		}
	})
	t.Run("after an attempt that changed something", func(t *testing.T) {
		x := newTarget(t)
		lost := true
		x.store.refuse = func(key string) error {
			if _, second := x.store.objects[key]; second && lost {
				return errUnavailable
			}
			return nil
		}
		if _, err := x.apply(3); !errors.Is(err, errUnavailable) {
			t.Fatalf("got %v", err)
		}
		lost = false
		if _, err := x.apply(5000); fault.NameOf(err) != fault.Invalid {
			t.Fatalf("got %v", err)
		}
		if entry, _ := x.journal(); entry.After != nil {
			t.Errorf("the journal says %+v of a target that was changed", entry.After)
		}
	})
	t.Run("of the token", func(t *testing.T) {
		x := newTarget(t)
		x.auth.value = "made-up"
		if _, err := x.apply(3); fault.NameOf(err) != fault.Unauthenticated || x.auth.forgotten != 1 {
			t.Errorf("got %v, forgotten %d times", err, x.auth.forgotten)
		}
		if _, found := x.journal(); found {
			t.Error("the journal says that something was about to change")
		}
	})
	t.Run("of removals", func(t *testing.T) {
		x := newTarget(t)
		other := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "messaging.example.com/v1", "kind": "Topic",
			"metadata": map[string]any{"name": x.in.Run.Resources[0].Name, "namespace": "kafka", "labels": map[string]any{"team": "a"}}, "spec": map[string]any{"partitions": int64(3)}}}
		if _, err := x.topics.Apply(t.Context(), other.GetName(), other, metav1.ApplyOptions{FieldManager: "crossapply"}); err != nil {
			t.Fatal(err)
		}
		x.in.Run.Apply.Removals = contract.RemovalsRefuse
		_, err := x.apply(3)
		if fault.NameOf(err) != fault.WouldRemove || !strings.Contains(err.Error(), x.in.Target.String()+": apply Topic kafka/") || !strings.Contains(err.Error(), ".metadata.labels") {
			t.Errorf("got %v", err)
		}
	})
}

// A sandbox reads the resources once per execution, and never uses those of
// another; what one target does to them must not reach the next.
func TestResourcesAreReadOncePerExecution(t *testing.T) {
	s := &store{objects: map[string][]byte{
		"runs/a/resources.json": []byte(`{"resources": [{"kind": "Topic", "metadata": {"name": "a"}, "spec": {"big": 9007199254740993}}],
			"overrides": [{"resource": 0, "patch": {"spec": {"tier": 1}}}]}`),
		"runs/b/resources.json": []byte(`{"resources": [{"kind": "Topic", "metadata": {"name": "b"}}]}`),
	}}
	a := &Applier{}
	read := func(execution string, overrides ...int) *unstructured.Unstructured {
		t.Helper()
		in := contract.ApplyInput{Item: contract.Item{Run: contract.Run{Name: execution, Prefix: "runs/" + execution + "/"}, TargetItem: contract.TargetItem{Overrides: overrides}}}
		w := &work{applier: a, in: in, store: s}
		object, err := w.object(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if spec, ok := object.Object["spec"].(map[string]any); ok && spec["big"] != int64(9007199254740993) {
			t.Errorf("a large integer became %v", spec["big"])
		}
		return object
	}
	for _, execution := range []string{"a", "a", "b", "b", "a"} {
		object := read(execution)
		if got := object.GetName(); got != execution {
			t.Errorf("execution %s got the resource %s", execution, got)
		}
		object.SetName("changed")
	}
	if tier, _, _ := unstructured.NestedInt64(read("a", 0).Object, "spec", "tier"); tier != 1 {
		t.Error("the override is missing")
	}
	if s.reads != 3 {
		t.Errorf("%d reads, want 3", s.reads)
	}
	if _, err := a.resources(t.Context(), s, contract.Run{Name: "c", Prefix: "runs/c/"}); fault.NameOf(err) != fault.AWSError {
		t.Errorf("got %v", err)
	}
}
