package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
	"github.com/crossapply/crossapply/shared/readiness"
	"github.com/crossapply/crossapply/shared/runs"
)

// The second API server is for tests that stop it.
var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Clusters: 2, Objects: objects})

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// kind is a kind of the tests' API servers, whose schema takes everything.
type kind struct {
	group, version, name, plural string
	noStatus                     bool
}

var (
	thing       = kind{group: "example.com", version: "v1", name: "Thing", plural: "things"}
	plain       = kind{group: "example.com", version: "v1", name: "Plain", plural: "plains", noStatus: true}
	application = kind{group: "argoproj.io", version: "v1alpha1", name: "Application", plural: "applications"}
	rollout     = kind{group: "argoproj.io", version: "v1alpha1", name: "Rollout", plural: "rollouts"}
	workflow    = kind{group: "argoproj.io", version: "v1alpha1", name: "Workflow", plural: "workflows"}
	kafka       = kind{group: "kafka.strimzi.io", version: "v1beta2", name: "Kafka", plural: "kafkas"}
	certificate = kind{group: "cert-manager.io", version: "v1", name: "Certificate", plural: "certificates"}
	ackBucket   = kind{group: "s3.services.k8s.aws", version: "v1alpha1", name: "Bucket", plural: "buckets"}
	crossplane  = kind{group: "s3.aws.upbound.io", version: "v1beta1", name: "Bucket", plural: "buckets"}
)

func (k kind) crd() *unstructured.Unstructured {
	version := map[string]any{"name": k.version, "served": true, "storage": true,
		"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}
	if !k.noStatus {
		version["subresources"] = map[string]any{"status": map[string]any{}}
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": k.plural + "." + k.group},
		"spec": map[string]any{
			"group": k.group, "scope": "Namespaced", "versions": []any{version},
			"names": map[string]any{"plural": k.plural, "kind": k.name},
		},
	}}
}

func objects() ([]*unstructured.Unstructured, error) {
	var crds []*unstructured.Unstructured
	for _, k := range []kind{thing, plain, application, rollout, workflow, kafka, certificate, ackBucket, crossplane} {
		crds = append(crds, k.crd())
	}
	return crds, nil
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

// entries is a journal of one entry.
type entries journal.Entry

func (e entries) GetJSON(_ context.Context, _ string, value any) error {
	*value.(*journal.Entry) = journal.Entry(e)
	return nil
}

// target is a target on which a resource was applied, and what waits for it.
type target struct {
	t      *testing.T
	poller *Poller
	auth   *bearer
	in     contract.PollInput
	api    dynamic.ResourceInterface
	// skipped is by how much the test's clock is ahead of the real one: it leaps from
	// window to window.
	skipped time.Duration
}

// newTarget returns the target of a test, on a server, before the apply.
func newTarget(t *testing.T, c *cluster.Cluster, k kind, ready contract.ReadySettings) *target {
	t.Helper()
	admin, err := dynamic.NewForConfig(c.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name())), "-")
	name = strings.TrimLeft(name[max(0, len(name)-60):], "-")
	x := &target{
		t: t, auth: &bearer{value: servers.Token(t, "crossapply", "system:masters")},
		api: admin.Resource(schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.plural}).Namespace("default"),
	}
	x.in.Target = contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}
	x.in.Run = contract.Run{
		Execution: "arn:" + t.Name(), Name: "run", Prefix: runs.Prefix("run"), Operation: operation.Apply,
		Resources: []contract.ResourceRef{{APIVersion: k.group + "/" + k.version, Kind: k.name, Namespace: "default", Name: name}},
		Apply:     contract.ApplySettings{FieldManager: "crossapply"},
		Ready:     ready,
	}
	x.in.Phase = contract.Phase{Kind: contract.PhaseWave, Operation: operation.Apply}
	x.in.Cluster = contract.Cluster{Endpoint: c.Endpoint(), CA: base64.StdEncoding.EncodeToString(c.CAData)}
	x.in.Mapping = contract.Mapping{Group: k.group, Version: k.version, Plural: k.plural, Namespaced: true, Status: !k.noStatus}
	x.poller = &Poller{auth: x.auth, clusters: new(kube.Clusters), window: window,
		now: func() time.Time { return time.Now().Add(x.skipped) }, random: func() float64 { return 0 }}
	return x
}

// apply applies the resource with this content, and takes the first look, as the
// apply function does.
func (x *target) apply(content string) {
	x.t.Helper()
	ref := x.in.Run.Resources[0]
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(content), &object); err != nil {
		x.t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: object}
	u.SetAPIVersion(ref.APIVersion)
	u.SetKind(ref.Kind)
	u.SetName(ref.Name)
	u.SetNamespace(ref.Namespace)
	x.act(operation.Apply, u)
}

// act does an operation, and takes the first look.
func (x *target) act(name contract.Operation, u *unstructured.Unstructured) {
	x.t.Helper()
	ref := x.in.Run.Resources[0]
	x.in.Phase.Operation = name
	op, err := operation.Of(name)
	if err != nil {
		x.t.Fatal(err)
	}
	done, err := op.Act(x.t.Context(), operation.Action{
		Item: x.in.Item, Ref: ref, Resource: x.api, Object: u,
		Note: func(_ context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
			return live, nil
		},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	rule, err := readiness.Of(x.in.Run.Ready, ref)
	if err != nil {
		x.t.Fatal(err)
	}
	x.in.Applied = done.Applied
	now := x.poller.now()
	if x.in.Seen, err = op.Look(proof.For(x.in.Item, ref, x.in.Mapping, done.Applied, rule), contract.Seen{}, done.Object, now); err != nil {
		x.t.Fatal(err)
	}
	x.in.Deadline = now.Add(time.Duration(x.in.Run.Ready.TimeoutSeconds) * time.Second)
	x.poller.journal = func(string) journal.Reader {
		return entries{After: &journal.After{Applied: done.Applied, OwnedFields: done.Owned}}
	}
}

// window is how long a poll of the tests watches, and interval the leap of the clock
// from one window to the next: so long that it does not matter how busy the machine is.
const (
	window   = 300 * time.Millisecond
	interval = 20 * time.Second
)

// wait polls as the workflow does, and takes the next step before each window.
// Whatever is no verdict is waited out.
func (x *target) wait(steps []step) (*contract.Result, error) {
	x.t.Helper()
	for {
		if len(steps) > 0 {
			steps[0](x)
			steps = steps[1:]
		}
		out, err := x.poller.Handle(x.t.Context(), x.in)
		switch {
		case err != nil && fault.Catalogue()[fault.NameOf(err)].Verdict:
			return nil, err
		case err == nil && out.Result != nil:
			return out.Result, nil
		case err == nil:
			x.in.Seen, x.in.Window = out.Seen, out.Window
		}
		x.skipped += interval
	}
}

// step is what somebody does to the object between two windows.
type step func(x *target)

func nothing(*target) {}

func (x *target) change(change func(u *unstructured.Unstructured) error, sub ...string) {
	x.t.Helper()
	live, err := x.api.Get(x.t.Context(), x.in.Run.Resources[0].Name, metav1.GetOptions{})
	if err == nil {
		err = change(live)
	}
	if err == nil {
		_, err = x.api.Update(x.t.Context(), live, metav1.UpdateOptions{FieldManager: "other"}, sub...)
	}
	if err != nil {
		x.t.Fatal(err)
	}
}

// status is an operator that writes this status.
func status(text string) step {
	return func(x *target) {
		x.t.Helper()
		x.change(func(u *unstructured.Unstructured) error {
			var status map[string]any
			err := yaml.Unmarshal([]byte(text), &status)
			u.Object["status"] = status
			return err
		}, "status")
	}
}

// ready is an operator with one condition Ready; observed 0 leaves the generation out.
func ready(value string, observed int) step {
	text := fmt.Sprintf("{conditions: [{type: Ready, status: %q}]}", value)
	if observed > 0 {
		text = fmt.Sprintf("{observedGeneration: %d, conditions: [{type: Ready, status: %q}]}", observed, value)
	}
	return status(text)
}

func stalled(observed int) step {
	text := "{conditions: [{type: Stalled, status: 'True', reason: NoCapacity}]}"
	if observed > 0 {
		text = fmt.Sprintf("{observedGeneration: %d, conditions: [{type: Stalled, status: 'True', reason: NoCapacity}]}", observed)
	}
	return status(text)
}

// flap is an operator whose Ready goes and comes back, with the status that was.
func flap(x *target) {
	x.t.Helper()
	live, err := x.api.Get(x.t.Context(), x.in.Run.Resources[0].Name, metav1.GetOptions{})
	if err != nil {
		x.t.Fatal(err)
	}
	was := live.Object["status"]
	ready("False", 0)(x)
	out, err := x.poller.Handle(x.t.Context(), x.in)
	if err != nil {
		x.t.Fatal(err)
	}
	x.in.Seen, x.in.Window = out.Seen, out.Window
	x.change(func(u *unstructured.Unstructured) error { u.Object["status"] = was; return nil }, "status")
}

// deleted deletes the object, which a finalizer holds back.
func deleted(x *target) {
	x.t.Helper()
	x.change(func(u *unstructured.Unstructured) error { u.SetFinalizers([]string{"example.com/wait"}); return nil })
	if err := x.api.Delete(x.t.Context(), x.in.Run.Resources[0].Name, metav1.DeleteOptions{}); err != nil {
		x.t.Fatal(err)
	}
}

func recreated(x *target) {
	x.t.Helper()
	live, err := x.api.Get(x.t.Context(), x.in.Run.Resources[0].Name, metav1.GetOptions{})
	if err != nil {
		x.t.Fatal(err)
	}
	if err := x.api.Delete(x.t.Context(), live.GetName(), metav1.DeleteOptions{}); err != nil {
		x.t.Fatal(err)
	}
	for _, name := range []string{"uid", "resourceVersion", "managedFields"} {
		unstructured.RemoveNestedField(live.Object, "metadata", name)
	}
	if _, err := x.api.Create(x.t.Context(), live, metav1.CreateOptions{}); err != nil {
		x.t.Fatal(err)
	}
}

// set is another manager that sets spec.size.
func set(size int64) step {
	return func(x *target) {
		x.t.Helper()
		x.change(func(u *unstructured.Unstructured) error {
			return unstructured.SetNestedField(u.Object, size, "spec", "size")
		})
	}
}

func skip(d time.Duration) step { return func(x *target) { x.skipped += d } }

func both(steps ...step) step {
	return func(x *target) {
		x.t.Helper()
		for _, s := range steps {
			s(x)
		}
	}
}

const (
	small = "spec: {size: 1}"
	large = "spec: {size: 2}"
)

// The ways in which a wait can be lied to, each through the handler on a real API
// server. before is applied first, and then has the status of old.
func TestWaits(t *testing.T) {
	tests := []struct {
		name   string
		kind   kind
		before string
		old    step
		apply  string
		then   []step
		ready  contract.ReadySettings

		proof contract.Proof
		err   fault.Name
		says  string
	}{
		{
			name: "no status", kind: thing, apply: small,
			err: fault.ReadyTimeout, says: "not Ready within 100 seconds, by condition Ready: the operator has not written a status yet",
		},
		{
			name: "an operator that speaks of the generation", kind: thing, before: small, old: ready("True", 1), apply: large,
			then: []step{nothing, ready("True", 2)}, proof: contract.ProofGeneration, says: "Ready=True",
		},
		{
			name: "a stale generation", kind: thing, before: small, old: ready("True", 1), apply: large,
			err: fault.ReadyTimeout, says: "the operator has not looked at generation 2 yet: Ready=True",
		},
		{
			name: "a stale generation in a string", kind: thing, before: small, apply: large,
			old: status("{observedGeneration: '1', conditions: [{type: Ready, status: 'True'}]}"),
			err: fault.ReadyTimeout, says: "the operator has not looked at generation 2 yet",
		},
		{
			name: "no generation and an old Ready that becomes false", kind: thing, before: small, old: ready("True", 0), apply: large,
			then: []step{ready("False", 0)}, err: fault.ReadyTimeout, says: "Ready=False",
		},
		{
			name: "no generation and an old Ready that stands", kind: thing, before: small, old: ready("True", 0), apply: large,
			proof: contract.ProofSettled,
		},
		{
			name: "no generation and a new Ready", kind: thing, before: small, old: ready("False", 0), apply: large,
			then: []step{ready("True", 0)}, proof: contract.ProofStatus,
		},
		{
			name: "no generation where it is required", kind: thing, apply: small, ready: contract.ReadySettings{RequireGeneration: true},
			then: []step{ready("True", 0)}, err: fault.ReadyTimeout, says: "ready.requireGeneration",
		},
		{
			name: "only labels changed", kind: thing, before: small, old: ready("True", 1), apply: small + "\nmetadata: {labels: {a: b}}",
			proof: contract.ProofSettled,
		},
		{
			name: "only labels changed, with a leftover Stalled", kind: thing, before: small, old: stalled(1),
			apply: small + "\nmetadata: {labels: {a: b}}", then: []step{nothing, nothing, ready("True", 1)}, proof: contract.ProofStatus,
		},
		{
			name: "another condition only", kind: thing, apply: small,
			then: []step{status("{conditions: [{type: Synced, status: 'True'}]}")}, err: fault.ReadyTimeout, says: "no condition Ready yet",
		},
		{
			name: "the request's condition", kind: thing, apply: small, ready: contract.ReadySettings{Condition: "Synced"},
			then: []step{status("{conditions: [{type: Synced, status: 'True'}]}")}, proof: contract.ProofNew, says: "judged by condition Synced",
		},
		{
			name: "Unknown", kind: thing, apply: small, then: []step{ready("Unknown", 1)}, err: fault.ReadyTimeout, says: "Ready=Unknown",
		},
		{
			// It has stood for 60 seconds at the end, but for a moment after the first 20.
			name: "flapping", kind: thing, before: small, old: ready("True", 0), apply: large,
			ready: contract.ReadySettings{SettleSeconds: 50, TimeoutSeconds: 55},
			then:  []step{nothing, flap, nothing}, err: fault.ReadyTimeout, says: "it has not stood for 50 seconds",
		},
		{
			name: "flapping, then steady", kind: thing, before: small, old: ready("True", 0), apply: large,
			then: []step{nothing, flap, nothing}, proof: contract.ProofSettled,
		},
		{
			name: "Ready while it is being deleted", kind: thing, apply: small, then: []step{both(deleted, ready("True", 1))},
			err: fault.ReadyTimeout, says: "is being deleted",
		},
		{
			name: "recreated by somebody", kind: thing, apply: small, then: []step{recreated}, err: fault.NotFound, says: "replaced by another object",
		},
		{
			name: "overwritten", kind: thing, apply: small, then: []step{both(set(7), ready("True", 2))},
			err: fault.Overwritten, says: "somebody else changed .spec.size (by other)",
		},
		{
			name: "overwritten, then Ready later", kind: thing, apply: small, then: []step{set(7), nothing, ready("True", 2)},
			err: fault.Overwritten, says: ".spec.size (by other)",
		},
		{
			name: "a failure", kind: thing, apply: small, then: []step{stalled(1)},
			err: fault.ResourceFailed, says: "will not become Ready, by condition Ready: Stalled=True (NoCapacity)",
		},
		{
			name: "a failure that passes within the grace", kind: thing, apply: small, then: []step{stalled(1), ready("True", 1)},
			ready: contract.ReadySettings{FailureGraceSeconds: 60}, proof: contract.ProofGeneration,
		},
		{
			name: "a failure left over from before", kind: thing, before: small, old: stalled(0), apply: large,
			then: []step{nothing, nothing, ready("True", 0)}, proof: contract.ProofStatus,
		},
		{
			name: "a failure left over and never spoken of again", kind: thing, before: small, old: stalled(0), apply: large,
			err: fault.ReadyTimeout, says: "left over from before the apply",
		},
		{
			name: "Crossplane's Ready without Synced", kind: crossplane, apply: small,
			then: []step{status("{conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'False', reason: ReconcileError, message: no such account}]}")},
			err:  fault.ResourceFailed, says: "no such account",
		},
		{
			name: "Argo's Application", kind: application, apply: small,
			then:  []step{status("{health: {status: Progressing}, sync: {status: OutOfSync}}"), status("{health: {status: Healthy}, sync: {status: Synced}}")},
			proof: contract.ProofNew, says: "judged by crossapply's rule for argoproj.io/Application",
		},
		{
			name: "Argo's Rollout", kind: rollout, apply: "spec: {replicas: 1}",
			then: []step{status(`{observedGeneration: "1", replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, phase: Healthy,
				conditions: [{type: Available, status: 'True'}, {type: Progressing, status: 'True'}]}`)},
			proof: contract.ProofGeneration,
		},
		{
			name: "Argo's Workflow", kind: workflow, apply: "spec: {entrypoint: main}",
			then: []step{status("{phase: Running}"), status("{phase: Failed, message: child failed}")}, err: fault.ResourceFailed, says: "child failed",
		},
		{
			name: "Strimzi's Kafka", kind: kafka, before: small, old: ready("True", 1), apply: large,
			then: []step{nothing, ready("True", 2)}, proof: contract.ProofGeneration,
		},
		{
			name: "cert-manager's Certificate", kind: certificate, apply: small,
			then: []step{
				status("{conditions: [{type: Issuing, status: 'True', reason: DoesNotExist}, {type: Ready, status: 'False', reason: DoesNotExist}]}"),
				status("{conditions: [{type: Ready, status: 'True', observedGeneration: 1, reason: Ready, message: Certificate is up to date}]}"),
			},
			proof: contract.ProofGeneration,
		},
		{
			name: "an ACK resource", kind: ackBucket, before: small, apply: large,
			old: status("{conditions: [{type: ACK.ResourceSynced, status: 'True'}]}"), proof: contract.ProofSettled, says: "ACK.ResourceSynced=True",
		},
		{
			name: "an ACK resource that cannot be", kind: ackBucket, apply: small,
			then: []step{status("{conditions: [{type: ACK.Terminal, status: 'True', message: BucketAlreadyExists}]}")}, err: fault.ResourceFailed, says: "BucketAlreadyExists",
		},
		{
			name: "a kind without a status", kind: plain, apply: small, proof: contract.ProofNew,
		},
		{
			name: "CEL", kind: thing, apply: small,
			ready: contract.ReadySettings{Expressions: &contract.ReadyExpressions{Current: "has(status.phase) && status.phase == 'Done'", Failed: "has(status.phase) && status.phase == 'Broken'"}},
			then:  []step{status("{phase: Working}"), status("{phase: Done}")}, proof: contract.ProofNew, says: "the request's expressions",
		},
		{
			name: "CEL that cannot be evaluated", kind: thing, apply: small,
			ready: contract.ReadySettings{Expressions: &contract.ReadyExpressions{Current: "int(status.phase) > 1"}},
			then:  []step{status("{phase: Working}")}, err: fault.RuleFailed, says: "cannot be evaluated",
		},
		{
			name: "out of time while it is Ready but not proven", kind: thing, before: small, old: ready("True", 0), apply: large,
			ready: contract.ReadySettings{SettleSeconds: 600}, err: fault.ReadyTimeout, says: "nothing proves yet",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			settings := test.ready
			settings.Wait = true
			if settings.TimeoutSeconds == 0 {
				settings.TimeoutSeconds = 100 // the last of six windows
			}
			if settings.SettleSeconds == 0 {
				settings.SettleSeconds = 30
			}
			x := newTarget(t, servers.Clusters(t)[0], test.kind, settings)
			if test.before != "" {
				x.apply(test.before)
			}
			if test.old != nil {
				test.old(x)
			}
			x.apply(test.apply)
			result, err := x.wait(test.then)
			if test.err != "" {
				if fault.NameOf(err) != test.err || !strings.HasPrefix(err.Error(), x.in.Target.String()+": ") || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %+v, %s: %v, want %s with %q", result, fault.NameOf(err), err, test.err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatalf("got %s: %v, want Ready by %s", fault.NameOf(err), err, test.proof)
			}
			if result.Outcome != contract.OutcomeReady || result.Proof != test.proof || !strings.Contains(result.Message, test.says) {
				t.Errorf("got %s by %s: %q, want Ready by %s with %q", result.Outcome, result.Proof, result.Message, test.proof, test.says)
			}
		})
	}
}

// A deletion is waited for until the object is gone, whatever takes its name then.
func TestDeletion(t *testing.T) {
	released := func(x *target) {
		x.change(func(u *unstructured.Unstructured) error { u.SetFinalizers(nil); return nil })
	}
	tests := []struct {
		name string
		then []step
		err  fault.Name
		says string
	}{
		{"gone", []step{nothing, released}, "", "is gone"},
		{"gone, and another is there", []step{both(released, func(x *target) {
			x.t.Helper()
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Thing"}}
			u.SetName(x.in.Run.Resources[0].Name)
			if _, err := x.api.Create(x.t.Context(), u, metav1.CreateOptions{}); err != nil {
				x.t.Fatal(err)
			}
		})}, "", "is gone"},
		{"held up", nil, fault.ReadyTimeout, "was not gone within 100 seconds: Thing default/NAME is being deleted, which waits for the finalizers example.com/wait"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			x := newTarget(t, servers.Clusters(t)[0], thing, contract.ReadySettings{Wait: true, TimeoutSeconds: 100, SettleSeconds: 30})
			x.apply(small + "\nmetadata: {finalizers: [example.com/wait]}")
			x.act(operation.Delete, nil)
			result, err := x.wait(test.then)
			says := strings.ReplaceAll(test.says, "NAME", x.in.Run.Resources[0].Name)
			if test.err != "" {
				if fault.NameOf(err) != test.err || !strings.Contains(err.Error(), says) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || result.Outcome != contract.OutcomeDeleted || result.Proof != "" || !strings.Contains(result.Message, says) {
				t.Errorf("got %+v, %v", result, err)
			}
		})
	}
}

// Of several resources, the one of the step is waited for, and added to the others.
func TestOneOfSeveral(t *testing.T) {
	x := newTarget(t, servers.Clusters(t)[0], thing, contract.ReadySettings{Wait: true, TimeoutSeconds: 100, SettleSeconds: 30})
	x.apply(small)
	ready("True", 1)(x)
	x.in.Run.Resources = []contract.ResourceRef{{APIVersion: "v1", Kind: "Namespace", Name: "default"}, x.in.Run.Resources[0], {APIVersion: "v1", Kind: "ConfigMap", Name: "y"}}
	x.in.Step = 1
	x.in.Result = &contract.Result{Target: x.in.Target, Outcome: contract.OutcomeUnchanged, Change: contract.Unchanged, Proof: contract.ProofUnchanged,
		Stood: []contract.Stood{{UID: "namespace"}}, Resources: []contract.ResourceResult{{Resource: x.in.Run.Resources[0], Outcome: contract.OutcomeUnchanged}}}
	out, err := x.poller.Handle(t.Context(), x.in)
	if err != nil || out.Result == nil || !out.More {
		t.Fatalf("%+v, %v", out, err)
	}
	r := out.Result
	if r.Outcome != contract.OutcomeReady || r.Change != contract.Created || r.Proof != contract.ProofUnchanged || len(r.Resources) != 2 ||
		r.Resources[1].Proof != contract.ProofGeneration || len(r.Stood) != 2 || r.Stood[1].UID != x.in.Applied.UID {
		t.Errorf("%+v", *r)
	}
}

// An API server that goes away for ten minutes of a long wait is waited for.
func TestOutage(t *testing.T) {
	c := servers.Clusters(t)[1]
	x := newTarget(t, c, thing, contract.ReadySettings{Wait: true, TimeoutSeconds: 900})
	x.apply(small)
	stop := func(x *target) {
		if err := c.Stop(); err != nil {
			x.t.Fatal(err)
		}
	}
	start := func(x *target) {
		if err := c.Start(x.t.Context()); err != nil {
			x.t.Fatal(err)
		}
	}
	result, err := x.wait([]step{nothing, stop, skip(5 * time.Minute), skip(5 * time.Minute), start, ready("True", 1)})
	if err != nil || result.Proof != contract.ProofGeneration {
		t.Fatalf("got %+v, %v", result, err)
	}

	// An outage at the end of the target's time is the end of its time, and named.
	x.apply(large)
	_, err = x.wait([]step{nothing, stop, skip(time.Hour)})
	start(x)
	if fault.NameOf(err) != fault.ReadyTimeout || !strings.Contains(err.Error(), "cannot be seen now: ") || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("got %v", err)
	}
}

// What stood when the connection was cut is not believed because of the silence.
func TestSilenceProvesNothing(t *testing.T) {
	c := servers.Clusters(t)[1]
	x := newTarget(t, c, thing, contract.ReadySettings{Wait: true, TimeoutSeconds: 900, SettleSeconds: 60})
	x.apply(small)
	ready("True", 0)(x)
	x.apply(large)
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	x.skipped += 2 * time.Minute
	_, err := x.poller.Handle(t.Context(), x.in)
	if fault.NameOf(err) != fault.ClusterUnreachable {
		t.Errorf("got %v", err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A watch that is cut goes on from where it was: what came meanwhile is seen, and
// no look at the object is needed.
func TestWatchIsCut(t *testing.T) {
	c := servers.Clusters(t)[0]
	x := newTarget(t, c, thing, contract.ReadySettings{Wait: true, TimeoutSeconds: 900})
	x.apply(small)
	x.poller.window = time.Minute
	requests := x.through(c)
	ended := make(chan error, 1)
	go func() {
		out, err := x.poller.Handle(t.Context(), x.in)
		if err == nil && (out.Result == nil || out.Result.Proof != contract.ProofGeneration) {
			err = fmt.Errorf("the window ended with %+v", out)
		}
		ended <- err
	}()
	first := <-requests
	first.cut()
	ready("True", 1)(x)
	second := <-requests
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, r := range []request{first, second} {
		if r.query.Get("watch") != "true" || r.query.Get("resourceVersion") != x.in.Applied.ResourceVersion {
			t.Errorf("poll asked for %v", r.query)
		}
	}
}

// request is one that poll made.
type request struct {
	query url.Values
	cut   func()
}

// through leads the target's requests to the API server by a proxy, which tells of
// each before it is answered.
func (x *target) through(c *cluster.Cluster) <-chan request {
	x.t.Helper()
	endpoint, err := url.Parse(c.Endpoint())
	if err != nil {
		x.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CAData)
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(endpoint) },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
		FlushInterval: -1,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	requests := make(chan request)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		requests <- request{query: r.URL.Query(), cut: cancel}
		forward.ServeHTTP(w, r.WithContext(ctx))
	}))
	x.t.Cleanup(server.Close)
	x.in.Cluster = contract.Cluster{Endpoint: server.URL, CA: base64.StdEncoding.EncodeToString(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))}
	return requests
}

func TestRefusedTokenIsForgotten(t *testing.T) {
	x := newTarget(t, servers.Clusters(t)[0], thing, contract.ReadySettings{Wait: true, TimeoutSeconds: 60})
	x.apply(small)
	x.auth.value = "made-up"
	if _, err := x.poller.Handle(t.Context(), x.in); fault.NameOf(err) != fault.Unauthenticated || x.auth.forgotten != 1 {
		t.Errorf("got %v, forgotten %d times", err, x.auth.forgotten)
	}
}
