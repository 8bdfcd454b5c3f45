package operation_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
)

var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Objects: objects})

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

// objects is a kind without a status subresource, whose schema takes everything.
func objects() ([]*unstructured.Unstructured, error) {
	return cluster.Decode(strings.NewReader(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: plains.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: plains, kind: Plain}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`))
}

const manager = "crossapply"

// deployments is a client of Deployments: a kind with lists that have keys, with
// defaults, and with a scale subresource.
func deployments(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	return clientOf(t, schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"})
}

func clientOf(t *testing.T, kind schema.GroupVersionResource) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(servers.Clusters(t)[0].AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(kind).Namespace("default")
}

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: default, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1"}
      - {name: log, image: "log:1"}
`

// object reads a manifest, whose name becomes that of the test, after replacing
// texts by others.
func object(t *testing.T, manifest string, oldnew ...string) *unstructured.Unstructured {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	read := map[string]any{}
	text := strings.NewReplacer(append(oldnew, "NAME", name)...).Replace(manifest)
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: read}
	if err := u.UnmarshalJSON(json); err != nil {
		t.Fatal(err)
	}
	return u
}

// act applies an object as a target's apply does. Its note is the live object.
func act(t *testing.T, object *unstructured.Unstructured, settings contract.ApplySettings) (operation.Done, error) {
	t.Helper()
	apply, err := operation.Of(operation.Apply)
	if err != nil {
		t.Fatal(err)
	}
	return apply.Act(t.Context(), actionOn(t, object, settings))
}

var target = contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}

// actionOn returns what an operation works with on a Deployment.
func actionOn(t *testing.T, object *unstructured.Unstructured, settings contract.ApplySettings) operation.Action {
	t.Helper()
	settings.FieldManager = manager
	return operation.Action{
		Item:     contract.Item{TargetItem: contract.TargetItem{Target: target}, Run: contract.Run{Apply: settings}},
		Ref:      contract.ResourceRef{APIVersion: "apps/v1", Kind: "Deployment", Namespace: object.GetNamespace(), Name: object.GetName()},
		Resource: deployments(t), HasStatus: true, Object: object, Note: noted,
	}
}

// noted is the note of a first attempt.
func noted(_ context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	return live, nil
}

func mustAct(t *testing.T, object *unstructured.Unstructured, settings contract.ApplySettings) operation.Done {
	t.Helper()
	done, err := act(t, object, settings)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// by applies an object as another field manager.
func by(t *testing.T, manager string, object *unstructured.Unstructured) {
	t.Helper()
	if _, err := deployments(t).Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true}); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, done operation.Done, change contract.Change, want contract.FieldChanges) {
	t.Helper()
	var got contract.FieldChanges
	if done.Applied.Fields != nil {
		got = *done.Applied.Fields
	}
	if done.Applied.Change != change || !slices.Equal(got.Added, want.Added) || !slices.Equal(got.Changed, want.Changed) || !slices.Equal(got.Removed, want.Removed) {
		t.Errorf("%s with %+v, want %s with %+v", done.Applied.Change, got, change, want)
	}
}

func TestWhatAnApplyChanges(t *testing.T) {
	created := mustAct(t, object(t, web), contract.ApplySettings{})
	if created.Applied.Change != contract.Created || created.Applied.Generation != 1 || created.Applied.GenerationBefore != 0 {
		t.Errorf("%+v", created.Applied)
	}
	expect(t, created, contract.Created, contract.FieldChanges{Added: []string{".spec", ".metadata.labels"}})
	again := mustAct(t, object(t, web), contract.ApplySettings{})
	expect(t, again, contract.Unchanged, contract.FieldChanges{})
	if again.Applied.ResourceVersion != created.Applied.ResourceVersion || again.Applied.OwnedHash != created.Applied.OwnedHash {
		t.Errorf("an apply that changes nothing wrote the object")
	}
	labelled := mustAct(t, object(t, web, "labels: {app: web}}\nspec", "labels: {app: web, team: a}}\nspec"), contract.ApplySettings{})
	expect(t, labelled, contract.Configured, contract.FieldChanges{Added: []string{".metadata.labels.team"}})
	if labelled.Applied.Generation != labelled.Applied.GenerationBefore {
		t.Errorf("a label raised the generation: %+v", labelled.Applied)
	}
	// A list item that is left out is named by its key; the list's other fields are
	// one, since a comparison of objects does not know keys.
	shorter := mustAct(t, object(t, web, `      - {name: log, image: "log:1"}`, "", "replicas: 2", "replicas: 3"), contract.ApplySettings{})
	expect(t, shorter, contract.Configured, contract.FieldChanges{
		Removed: []string{".metadata.labels.team", `.spec.template.spec.containers[name="log"]`},
		Changed: []string{".spec.replicas", ".spec.template.spec.containers"},
	})
	if shorter.Applied.GenerationBefore != 1 || shorter.Applied.Generation != 2 {
		t.Errorf("%+v", shorter.Applied)
	}
	// A field that has a default comes back with it.
	defaulted := mustAct(t, object(t, web, `      - {name: log, image: "log:1"}`, "", "  replicas: 2\n", ""), contract.ApplySettings{})
	expect(t, defaulted, contract.Configured, contract.FieldChanges{Changed: []string{".spec.replicas"}})
}

func TestRemovalsAreRefused(t *testing.T) {
	refuse := contract.ApplySettings{Removals: contract.RemovalsRefuse}
	mustAct(t, object(t, web), refuse)
	_, err := act(t, object(t, web, `      - {name: log, image: "log:1"}`, "", "web:1", "web:2"), refuse)
	if fault.NameOf(err) != fault.WouldRemove || !strings.Contains(err.Error(), `.spec.template.spec.containers[name="log"]`) {
		t.Errorf("got %s: %v", fault.NameOf(err), err)
	}
	if live, err := deployments(t).Get(t.Context(), object(t, web).GetName(), metav1.GetOptions{}); err != nil || live.GetGeneration() != 1 {
		t.Errorf("it was changed: %+v, %v", live, err)
	}
	expect(t, mustAct(t, object(t, web, "web:1", "web:2"), refuse), contract.Configured, contract.FieldChanges{Changed: []string{".spec.template.spec.containers"}})
}

func TestDryRunKeepsNothing(t *testing.T) {
	dry := contract.ApplySettings{DryRun: true}
	if done := mustAct(t, object(t, web), dry); done.Applied.Change != contract.Created {
		t.Errorf("%+v", done.Applied)
	}
	if _, err := deployments(t).Get(t.Context(), object(t, web).GetName(), metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a dry run created the object: %v", err)
	}
	mustAct(t, object(t, web), contract.ApplySettings{})
	expect(t, mustAct(t, object(t, web, "replicas: 2", "replicas: 3"), dry), contract.Configured, contract.FieldChanges{Changed: []string{".spec.replicas"}})
	expect(t, mustAct(t, object(t, web), dry), contract.Unchanged, contract.FieldChanges{})
}

const replicasOnly = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: default}
spec:
  replicas: 7
`

func TestConflictsAndAdoption(t *testing.T) {
	const kubectl = "kubectl-client-side-apply"
	contested := func(t *testing.T) *unstructured.Unstructured {
		// As kubectl's client-side apply leaves it: owned by an update.
		u := object(t, web)
		if _, err := deployments(t).Create(t.Context(), u, metav1.CreateOptions{FieldManager: kubectl}); err != nil {
			t.Fatal(err)
		}
		return object(t, web, "replicas: 2", "replicas: 4")
	}
	t.Run("refused", func(t *testing.T) {
		_, err := act(t, contested(t), contract.ApplySettings{})
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), kubectl) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("forced", func(t *testing.T) {
		expect(t, mustAct(t, contested(t), contract.ApplySettings{Force: true}), contract.Configured, contract.FieldChanges{Changed: []string{".spec.replicas"}})
	})
	t.Run("adopted", func(t *testing.T) {
		done := mustAct(t, contested(t), contract.ApplySettings{Adopt: []string{"other", kubectl}})
		expect(t, done, contract.Configured, contract.FieldChanges{Changed: []string{".spec.replicas"}})
		// It is ours now: kubectl's later change would be a conflict for us, ours is not.
		expect(t, mustAct(t, object(t, web, "replicas: 2", "replicas: 5"), contract.ApplySettings{}), contract.Configured,
			contract.FieldChanges{Changed: []string{".spec.replicas"}})
	})
	t.Run("another owner", func(t *testing.T) {
		u := contested(t)
		by(t, "capacity-team", object(t, replicasOnly))
		if _, err := act(t, u, contract.ApplySettings{Adopt: []string{kubectl}}); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), "capacity-team") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("dry run", func(t *testing.T) {
		expect(t, mustAct(t, contested(t), contract.ApplySettings{Adopt: []string{kubectl}, DryRun: true}), contract.Configured,
			contract.FieldChanges{Changed: []string{".spec.replicas"}})
	})
}

// racing is a client whose object is changed by somebody else just before each of
// its first applies.
type racing struct {
	dynamic.ResourceInterface
	races int
	race  func()
}

func (r *racing) Apply(ctx context.Context, name string, u *unstructured.Unstructured, options metav1.ApplyOptions, sub ...string) (*unstructured.Unstructured, error) {
	if r.races > 0 && u.GetResourceVersion() != "" {
		r.races--
		r.race()
	}
	return r.ResourceInterface.Apply(ctx, name, u, options, sub...)
}

// What was adopted from is looked at in one version of the object: a change in
// between is met again, not overruled.
func TestAdoptionMeetsARace(t *testing.T) {
	by(t, "old", object(t, web))
	turn := 0
	client := &racing{ResourceInterface: deployments(t), races: 2, race: func() {
		turn++
		by(t, "other", object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default, annotations: {turn: \""+strings.Repeat("x", turn)+"\"}}}"))
	}}
	apply, err := operation.Of(operation.Apply)
	if err != nil {
		t.Fatal(err)
	}
	u := object(t, web, "replicas: 2", "replicas: 4")
	action := actionOn(t, u, contract.ApplySettings{Adopt: []string{"old"}})
	action.Resource = client
	done, err := apply.Act(t.Context(), action)
	if err != nil || client.races != 0 {
		t.Fatalf("%v, %d races left", err, client.races)
	}
	expect(t, done, contract.Configured, contract.FieldChanges{Changed: []string{".spec.replicas"}})
}

// conflicting answers every apply with a conflict that is not about fields.
type conflicting struct {
	dynamic.ResourceInterface
	applies int
}

func (c *conflicting) Apply(context.Context, string, *unstructured.Unstructured, metav1.ApplyOptions, ...string) (*unstructured.Unstructured, error) {
	c.applies++
	return nil, apierrors.NewConflict(schema.GroupResource{Resource: "resourcequotas"}, "q", errors.New("the object has been modified"))
}

func TestOtherConflictsAreRepeated(t *testing.T) {
	apply, err := operation.Of(operation.Apply)
	if err != nil {
		t.Fatal(err)
	}
	client := &conflicting{ResourceInterface: deployments(t)}
	action := actionOn(t, object(t, web), contract.ApplySettings{})
	action.Resource = client
	_, err = apply.Act(t.Context(), action)
	if !apierrors.IsConflict(err) || client.applies != 5 {
		t.Errorf("%d applies, then %v", client.applies, err)
	}
}

// Who changed what was applied, as the API server's own managedFields tell it.
func TestTaken(t *testing.T) {
	update := func(change func(u *unstructured.Unstructured), sub ...string) func(*testing.T, string) {
		return func(t *testing.T, name string) {
			t.Helper()
			live, err := deployments(t).Get(t.Context(), name, metav1.GetOptions{}, sub...)
			if err != nil {
				t.Fatal(err)
			}
			change(live)
			if _, err := deployments(t).Update(t.Context(), live, metav1.UpdateOptions{FieldManager: "other"}, sub...); err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(value any, path ...string) func(*unstructured.Unstructured) {
		return func(u *unstructured.Unstructured) {
			if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
				panic(err)
			}
		}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, name string)
		want   string
	}{
		{"nobody", func(*testing.T, string) {}, ""},
		{"an update", update(set(int64(9), "spec", "replicas")), ".spec.replicas (by other)"},
		{"an update of something else", update(set(int64(9), "spec", "minReadySeconds")), ""},
		{"an update to the same value", update(set(int64(2), "spec", "replicas")), ""},
		{"an autoscaler", update(set(int64(9), "spec", "replicas"), "scale"), ""},
		{"a status", update(set(int64(1), "status", "observedGeneration"), "status"), ""},
		{"a forced apply", func(t *testing.T, name string) {
			by(t, "third", object(t, strings.ReplaceAll(replicasOnly, "NAME", name)))
		}, ".spec.replicas (by third)"},
		{"another apply of ours", func(t *testing.T, name string) {
			// The API server tells when in whole seconds.
			for partitions, began := 7, time.Now(); time.Since(began) < 1100*time.Millisecond; partitions++ {
				mustAct(t, object(t, strings.NewReplacer("NAME", name, "replicas: 2", fmt.Sprint("replicas: ", partitions)).Replace(web)), contract.ApplySettings{})
			}
		}, "some of the fields (by another apply as crossapply)"},
		{"a label taken away", update(func(u *unstructured.Unstructured) { u.SetLabels(nil) }), ".metadata.labels.app (removed)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := object(t, strings.ReplaceAll(web, "NAME", strings.ReplaceAll("taken-"+test.name, " ", "-")))
			done := mustAct(t, u, contract.ApplySettings{})
			test.change(t, u.GetName())
			live, err := deployments(t).Get(t.Context(), u.GetName(), metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if proof.OwnedHash(live, manager) == done.Applied.OwnedHash {
				if test.want != "" {
					t.Errorf("nothing has changed, want %q", test.want)
				}
				return
			}
			got, err := fields.Taken(done.Owned, live, manager)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// Somebody may change the object after it was looked at: what is noted as what was
// there, and would be brought back, holds their change.
func TestApplyMeetsARace(t *testing.T) {
	by(t, "other", object(t, web))
	name := object(t, web).GetName()
	a := actionOn(t, object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 7}}"), contract.ApplySettings{})
	raced := false
	var before *unstructured.Unstructured
	a.Note = func(_ context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		if !raced {
			raced = true
			write(t, "other", name, set(int64(9), "spec", "replicas"))
		}
		before = live
		return live, nil
	}
	done, err := of(t, operation.Apply).Act(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, done, contract.Configured, contract.FieldChanges{Changed: []string{".spec.revisionHistoryLimit"}})
	if replicas, _, _ := unstructured.NestedInt64(before.Object, "spec", "replicas"); replicas != 9 {
		t.Errorf("what was there before has %d replicas", replicas)
	}
}
