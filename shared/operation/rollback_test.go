package operation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/operation"
)

// owned is a Deployment that many have written, long ago: two apply to it, kubectl has
// updated it, an autoscaler scales it, and its controller writes the status.
func owned(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := object(t, web)
	if _, err := deployments(t).Create(t.Context(), u, metav1.CreateOptions{FieldManager: "kubectl"}); err != nil {
		t.Fatal(err)
	}
	by(t, "team", object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default, labels: {team: a}}, spec: {minReadySeconds: 5}}"))
	by(t, manager, object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 3}}"))
	write(t, "autoscaler", u.GetName(), set(int64(4), "spec", "replicas"), "scale")
	write(t, "controller", u.GetName(), set(int64(1), "status", "observedGeneration"), "status")
	// The API server keeps the times that it is given, but not where nothing else
	// differs: so there is another manager in between.
	age := func(more ...metav1.ManagedFieldsEntry) {
		write(t, "age", u.GetName(), func(u *unstructured.Unstructured) {
			entries := u.GetManagedFields()
			for i := range entries {
				at := metav1.NewTime(time.Date(2020, 1, 1, 0, 0, i, 0, time.UTC))
				entries[i].Time = &at
			}
			u.SetManagedFields(append(entries, more...))
		})
	}
	age(metav1.ManagedFieldsEntry{Manager: "between", Operation: "Update", APIVersion: "apps/v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)})
	write(t, "age", u.GetName(), func(u *unstructured.Unstructured) {
		entries := u.GetManagedFields()
		kept := entries[:0]
		for _, entry := range entries {
			if entry.Manager != "between" {
				kept = append(kept, entry)
			}
		}
		u.SetManagedFields(kept)
	})
	was := live(t, u.GetName())
	if len(was.GetManagedFields()) != 5 || was.GetManagedFields()[0].Time.Year() != 2020 {
		t.Fatalf("owned by %v", was.GetManagedFields())
	}
	return was
}

// write changes the live object as somebody else.
func write(t *testing.T, manager, name string, change func(u *unstructured.Unstructured), sub ...string) {
	t.Helper()
	u, err := deployments(t).Get(t.Context(), name, metav1.GetOptions{}, sub...)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	if _, err := deployments(t).Update(t.Context(), u, metav1.UpdateOptions{FieldManager: manager}, sub...); err != nil {
		t.Fatal(err)
	}
}

func set(value any, path ...string) func(u *unstructured.Unstructured) {
	return func(u *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
			panic(err)
		}
	}
}

// earlier does an operation, and returns what the journal has of it.
func earlier(t *testing.T, name contract.Operation, manifest string, settings contract.ApplySettings) operation.Earlier {
	t.Helper()
	journal := &book{}
	a := actionOn(t, object(t, manifest), settings)
	a.Note = journal.note
	done, err := of(t, name).Act(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	e := operation.Earlier{Operation: name, Before: journal.first, Change: done.Applied.Change}
	if done.Object != nil && e.Change != contract.Deleted {
		e.After = done.Object.DeepCopy()
		delete(e.After.Object, "status")
	}
	return e
}

// rollingBack is a rollback of the test's object, by the journal alone.
func rollingBack(t *testing.T, e operation.Earlier) operation.Action {
	t.Helper()
	a := actionOn(t, object(t, web), contract.ApplySettings{})
	a.Object, a.Note, a.Earlier = nil, (&book{}).note, throughJSON(t, e)
	return a
}

// throughJSON returns what the journal keeps of a change.
func throughJSON(t *testing.T, e operation.Earlier) operation.Earlier {
	t.Helper()
	for _, u := range []**unstructured.Unstructured{&e.Before, &e.After} {
		if *u == nil {
			continue
		}
		text, err := json.Marshal(*u)
		if err != nil {
			t.Fatal(err)
		}
		read := &unstructured.Unstructured{}
		if err := read.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		*u = read
	}
	return e
}

func rollBack(t *testing.T, a operation.Action) (operation.Done, error) {
	t.Helper()
	return of(t, operation.Rollback).Act(t.Context(), a)
}

// expectBack fails where an object is not as it was, to the second of its owners.
func expectBack(t *testing.T, was *unstructured.Unstructured) {
	t.Helper()
	now := live(t, was.GetName())
	if now == nil {
		t.Fatal("it is gone")
	}
	clean := func(u *unstructured.Unstructured) map[string]any {
		u = u.DeepCopy()
		for _, name := range []string{"resourceVersion", "generation"} {
			unstructured.RemoveNestedField(u.Object, "metadata", name)
		}
		return u.Object
	}
	if got, want := clean(now), clean(was); !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Errorf("it is\n%s\nand was\n%s", g, w)
	}
}

// Every change that an operation makes to an object of many owners is taken back, and
// whoever owned what owns it again.
func TestRollback(t *testing.T) {
	forced := contract.ApplySettings{Force: true}
	tests := []struct {
		name      string
		operation contract.Operation
		manifest  string
		settings  contract.ApplySettings
	}{
		{"an apply of fields of others", operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), forced},
		{"an apply that takes from the autoscaler", operation.Apply, web, forced},
		{"an apply of fields of its own", operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 7}}", contract.ApplySettings{}},
		{"an apply that only takes ownership", operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default, labels: {app: web}}, spec: {revisionHistoryLimit: 3, minReadySeconds: 5}}", contract.ApplySettings{}},
		{"an apply that gives a field up", operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default, annotations: {a: b}}}", contract.ApplySettings{}},
		{"a replacement", operation.Replace, strings.ReplaceAll(web, "replicas: 2", "replicas: 6\n  paused: true"), contract.ApplySettings{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			was := owned(t)
			e := earlier(t, test.operation, test.manifest, test.settings)
			// Its controller works on.
			write(t, "controller", was.GetName(), set(int64(1), "status", "observedGeneration"), "status")
			a := rollingBack(t, e)
			done, err := rollBack(t, a)
			if err != nil {
				t.Fatal(err)
			}
			expectBack(t, was)
			// The answer was lost.
			again, err := rollBack(t, a)
			if err != nil || again.Applied.Change != done.Applied.Change || live(t, was.GetName()).GetResourceVersion() != done.Applied.ResourceVersion {
				t.Errorf("again: %+v, %v; at first: %+v", again.Applied, err, done.Applied)
			}
			expectBack(t, was)
		})
	}
}

// Of a change whose function died, nothing is known but what was there before.
func TestRollbackOfAnUnknownChange(t *testing.T) {
	unknown := func(e operation.Earlier) operation.Earlier {
		e.Change, e.After = "", nil
		return e
	}
	t.Run("that was made", func(t *testing.T) {
		was := owned(t)
		e := earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true})
		write(t, "controller", was.GetName(), set(int64(1), "status", "observedGeneration"), "status")
		if _, err := rollBack(t, rollingBack(t, unknown(e))); err != nil {
			t.Fatal(err)
		}
		expectBack(t, was)
	})
	t.Run("that was not made", func(t *testing.T) {
		was := owned(t)
		done, err := rollBack(t, rollingBack(t, operation.Earlier{Operation: operation.Apply, Before: was}))
		if err != nil || done.Applied.Change != contract.Unchanged || live(t, was.GetName()).GetResourceVersion() != was.GetResourceVersion() {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	})
	t.Run("with one of somebody else", func(t *testing.T) {
		owned(t)
		e := earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true})
		write(t, "other", e.Before.GetName(), set(int64(60), "spec", "progressDeadlineSeconds"))
		expectChangedSince(t, rollingBack(t, unknown(e)), ".spec.progressDeadlineSeconds (by other)")
	})
	t.Run("a creation", func(t *testing.T) {
		e := earlier(t, operation.Apply, web, contract.ApplySettings{})
		write(t, "operator", object(t, web).GetName(), func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"example.com/x"}) })
		done, err := rollBack(t, rollingBack(t, unknown(e)))
		if err != nil || done.Applied.Change != contract.Deleted || done.Object.GetDeletionTimestamp() == nil {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	})
	t.Run("a creation that was not made", func(t *testing.T) {
		done, err := rollBack(t, rollingBack(t, operation.Earlier{Operation: operation.Create}))
		if err != nil || done.Applied.Change != contract.Unchanged {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	})
	t.Run("a creation by somebody else", func(t *testing.T) {
		by(t, "other", object(t, web))
		done, err := rollBack(t, rollingBack(t, operation.Earlier{Operation: operation.Create}))
		if err != nil || done.Applied.Change != contract.Unchanged || live(t, object(t, web).GetName()) == nil {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	})
	t.Run("a deletion", func(t *testing.T) {
		was := owned(t)
		e := earlier(t, operation.Delete, web, contract.ApplySettings{})
		if _, err := rollBack(t, rollingBack(t, unknown(e))); err != nil {
			t.Fatal(err)
		}
		expectAnew(t, was)
	})
	t.Run("a deletion that was not made", func(t *testing.T) {
		was := owned(t)
		done, err := rollBack(t, rollingBack(t, operation.Earlier{Operation: operation.Delete, Before: was}))
		if err != nil || done.Applied.Change != contract.Unchanged || live(t, was.GetName()).GetResourceVersion() != was.GetResourceVersion() {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	})
}

func expectChangedSince(t *testing.T, a operation.Action, says string) {
	t.Helper()
	before := live(t, a.Ref.Name)
	_, err := rollBack(t, a)
	if fault.NameOf(err) != fault.ChangedSince || !strings.HasPrefix(err.Error(), target.String()+": bring back Deployment default/") || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want %q", err, says)
	}
	if now := live(t, a.Ref.Name); before != nil && (now == nil || now.GetResourceVersion() != before.GetResourceVersion()) {
		t.Error("it was changed")
	}
}

// What others have changed since is reported, and left as it is.
func TestRollbackOfWhatOthersChangedSince(t *testing.T) {
	changes := []struct {
		name   string
		change func(t *testing.T, name string)
		says   string
	}{
		{"what we changed", func(t *testing.T, name string) {
			write(t, "other", name, func(u *unstructured.Unstructured) { setImage(u, "web:3") })
		}, ".spec.template.spec.containers (by other)"},
		{"something else", func(t *testing.T, name string) {
			write(t, "other", name, set("b", "metadata", "labels", "a"))
		}, ".metadata.labels.a (by other)"},
		{"something removed", func(t *testing.T, name string) {
			write(t, "other", name, func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"app": "web"}) })
		}, ".metadata.labels.team (removed"},
		{"another object", func(t *testing.T, name string) {
			if err := deployments(t).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			by(t, "other", object(t, strings.ReplaceAll(web, "NAME", name)))
		}, "another object has taken its place"},
		{"a deletion", func(t *testing.T, name string) {
			if err := deployments(t).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "it was deleted"},
	}
	for _, test := range changes {
		t.Run(test.name, func(t *testing.T) {
			owned(t)
			e := earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true})
			test.change(t, e.Before.GetName())
			expectChangedSince(t, rollingBack(t, e), test.says)
		})
	}
	t.Run("what we created", func(t *testing.T) {
		e := earlier(t, operation.Create, web, contract.ApplySettings{})
		write(t, "other", e.After.GetName(), set(int64(9), "spec", "replicas"))
		expectChangedSince(t, rollingBack(t, e), ".spec.replicas (by other)")
	})
	t.Run("what we changed to the same value", func(t *testing.T) {
		owned(t)
		e := earlier(t, operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 7}}", contract.ApplySettings{})
		by(t, "other", object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 7}}"))
		expectChangedSince(t, rollingBack(t, e), ".spec.revisionHistoryLimit (claimed by other)")
	})
	t.Run("what we created to the same values", func(t *testing.T) {
		e := earlier(t, operation.Apply, web, contract.ApplySettings{})
		by(t, "other", object(t, web))
		expectChangedSince(t, rollingBack(t, e), "(claimed by other)")
	})
	t.Run("what we deleted", func(t *testing.T) {
		owned(t)
		e := earlier(t, operation.Delete, web, contract.ApplySettings{})
		by(t, "other", object(t, web))
		expectChangedSince(t, rollingBack(t, e), "there is another object of that name")
	})
}

func setImage(u *unstructured.Unstructured, image string) {
	containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "spec", "containers")
	containers[0].(map[string]any)["image"] = image
	set(containers, "spec", "template", "spec", "containers")(u)
}

// What an autoscaler and the operator have done since is theirs to do, and stays.
func TestRollbackKeepsWhatControllersDo(t *testing.T) {
	was := owned(t)
	e := earlier(t, operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 7}}", contract.ApplySettings{})
	write(t, "autoscaler", was.GetName(), set(int64(8), "spec", "replicas"), "scale")
	write(t, "controller", was.GetName(), set("2", "metadata", "annotations", "deployment.kubernetes.io/revision"), "status")
	write(t, "operator", was.GetName(), func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"example.com/x"}) })
	// What others have come to own besides is not what is brought back.
	by(t, "team", object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default, labels: {team: a, app: web}}, spec: {minReadySeconds: 5}}"))
	if _, err := rollBack(t, rollingBack(t, e)); err != nil {
		t.Fatal(err)
	}
	now := live(t, was.GetName())
	limit, _, _ := unstructured.NestedInt64(now.Object, "spec", "revisionHistoryLimit")
	replicas, _, _ := unstructured.NestedInt64(now.Object, "spec", "replicas")
	if limit != 3 || replicas != 8 || now.GetAnnotations()["deployment.kubernetes.io/revision"] != "2" || len(now.GetFinalizers()) != 1 {
		t.Errorf("it is %v %v", now.Object["metadata"], now.Object["spec"])
	}
	if string(fields.Owned(now, manager)) != string(fields.Owned(was, manager)) {
		t.Errorf("we own %s, and owned %s", fields.Owned(now, manager), fields.Owned(was, manager))
	}
}

// An owner that has written something else since gets back what the change took from
// it, and keeps what it has taken.
func TestRollbackGivesBackToOwnersThatWriteOn(t *testing.T) {
	const revision = "deployment.kubernetes.io/revision"
	name := owned(t).GetName()
	write(t, "controller", name, set("1", "metadata", "annotations", revision), "status")
	was := live(t, name)
	e := earlier(t, operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default, annotations: {"+revision+": ours}}}",
		contract.ApplySettings{Force: true})
	write(t, "controller", name, set(int64(2), "status", "collisionCount"), "status")
	if _, err := rollBack(t, rollingBack(t, e)); err != nil {
		t.Fatal(err)
	}
	now := live(t, name)
	if !fields.Same(now, was) {
		t.Errorf("it is %v", now.Object["metadata"])
	}
	for _, path := range []string{`.metadata.annotations.` + revision, ".status.collisionCount", ".status.observedGeneration"} {
		if owners, err := fields.Owners(now, path); err != nil || !slices.Equal(owners, []string{"controller"}) {
			t.Errorf("%s is owned by %v, %v", path, owners, err)
		}
	}
}

func TestRollbackOfACreation(t *testing.T) {
	e := earlier(t, operation.Create, web, contract.ApplySettings{})
	name := e.After.GetName()
	write(t, "operator", name, set("b", "metadata", "annotations", "a"))
	a := rollingBack(t, e)
	for range 2 { // the second time the answer was lost
		done, err := rollBack(t, a)
		if err != nil || done.Applied.Change != contract.Deleted || done.Applied.UID != string(e.After.GetUID()) || live(t, name) != nil {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	}
	// Another object of that name is none of ours.
	by(t, "other", object(t, web))
	done, err := rollBack(t, rollingBack(t, e))
	if err != nil || done.Applied.Change != contract.Unchanged || live(t, name) == nil {
		t.Errorf("%+v, %v", done.Applied, err)
	}
}

// expectAnew fails where an object that was created anew is not as the deleted one was,
// but for what the cluster gives each object.
func expectAnew(t *testing.T, was *unstructured.Unstructured) {
	t.Helper()
	now := live(t, was.GetName())
	if now == nil || now.GetUID() == was.GetUID() {
		t.Fatalf("it is %v", now)
	}
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range was.GetManagedFields() {
		if entry.Subresource == "" {
			kept = append(kept, entry)
		}
	}
	if !fields.Same(now, was) || !reflect.DeepEqual(now.GetManagedFields(), kept) {
		t.Errorf("it is %v %v, and was %v %v", now.Object["metadata"], now.Object["spec"], was.Object["metadata"], was.Object["spec"])
	}
}

func TestRollbackOfADeletion(t *testing.T) {
	was := owned(t)
	a := rollingBack(t, earlier(t, operation.Delete, web, contract.ApplySettings{}))
	for range 2 { // the second time the answer was lost
		done, err := rollBack(t, a)
		if err != nil || done.Applied.Change != contract.Created {
			t.Fatalf("%+v, %v", done.Applied, err)
		}
		expectAnew(t, was)
	}
}

// A deletion that finalizers hold up cannot be taken back.
func TestRollbackOfADeletionUnderWay(t *testing.T) {
	by(t, "other", object(t, web, "labels: {app: web}}\nspec", "finalizers: [example.com/a]}\nspec"))
	a := rollingBack(t, earlier(t, operation.Delete, web, contract.ApplySettings{}))
	if _, err := rollBack(t, a); fault.NameOf(err) != fault.AlreadyExists || !strings.Contains(err.Error(), "waits for the finalizers example.com/a") {
		t.Errorf("got %v", err)
	}
}

// dying is a client whose n-th write is the last: it is made or not, and not answered.
type dying struct {
	dynamic.ResourceInterface
	left int
	made bool
}

var errDied = errors.New("the function died")

func (d *dying) write(call func() (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	if d.left--; d.left > 0 {
		return call()
	}
	if d.left == 0 && d.made {
		if _, err := call(); err != nil {
			return nil, err
		}
	}
	return nil, errDied
}

func (d *dying) Update(ctx context.Context, u *unstructured.Unstructured, options metav1.UpdateOptions, sub ...string) (*unstructured.Unstructured, error) {
	return d.write(func() (*unstructured.Unstructured, error) { return d.ResourceInterface.Update(ctx, u, options, sub...) })
}

func (d *dying) Create(ctx context.Context, u *unstructured.Unstructured, options metav1.CreateOptions, sub ...string) (*unstructured.Unstructured, error) {
	return d.write(func() (*unstructured.Unstructured, error) { return d.ResourceInterface.Create(ctx, u, options, sub...) })
}

// A rollback that dies before or after any of its writes is repeated, and comes to the
// same end.
func TestRollbackDies(t *testing.T) {
	for _, name := range []contract.Operation{operation.Apply, operation.Replace, operation.Delete} {
		for _, made := range []bool{false, true} {
			for write := 1; write <= 2; write++ {
				t.Run(fmt.Sprintf("%s-%d-%t", name, write, made), func(t *testing.T) {
					was := owned(t)
					a := rollingBack(t, earlier(t, name, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true}))
					a.Resource = &dying{ResourceInterface: deployments(t), left: write, made: made}
					if _, err := rollBack(t, a); !errors.Is(err, errDied) {
						t.Fatalf("got %v", err)
					}
					a.Resource = deployments(t)
					if _, err := rollBack(t, a); err != nil {
						t.Fatal(err)
					}
					if name == operation.Delete {
						expectAnew(t, was)
					} else {
						expectBack(t, was)
					}
				})
			}
		}
	}
}

// Somebody who changes the object between two attempts is not overruled.
func TestRollbackDiesAndOthersChange(t *testing.T) {
	owned(t)
	a := rollingBack(t, earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true}))
	a.Resource = &dying{ResourceInterface: deployments(t), left: 1}
	if _, err := rollBack(t, a); !errors.Is(err, errDied) {
		t.Fatalf("got %v", err)
	}
	write(t, "other", a.Ref.Name, func(u *unstructured.Unstructured) { setImage(u, "web:3") })
	a.Resource = deployments(t)
	expectChangedSince(t, a, ".spec.template.spec.containers (by other)")
}

// The operator goes on writing the status, which is no reason to give up.
func TestRollbackMeetsARace(t *testing.T) {
	was := owned(t)
	a := rollingBack(t, earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true}))
	turn := int64(1)
	a.Resource = &overtaken{ResourceInterface: deployments(t), races: 2, race: func() {
		turn++
		write(t, "controller", was.GetName(), set(turn, "status", "observedGeneration"), "status")
	}}
	if _, err := rollBack(t, a); err != nil {
		t.Fatal(err)
	}
	write(t, "controller", was.GetName(), set(int64(1), "status", "observedGeneration"), "status")
	now := live(t, was.GetName())
	if !fields.Same(now, was) || !fields.SameOwnership(now, was) {
		t.Errorf("it is %v", now.Object)
	}
}

// The status of a kind without a status subresource is written as any other field, and
// is its operator's all the same.
func TestRollbackOfAKindWithoutAStatusSubresource(t *testing.T) {
	plains := clientOf(t, schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "plains"})
	const plain = "{apiVersion: example.com/v1, kind: Plain, metadata: {name: NAME, namespace: default}, spec: {size: 1}}"
	operator := func(phase string) {
		t.Helper()
		u, err := plains.Get(t.Context(), object(t, plain).GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		set(phase, "status", "phase")(u)
		if _, err := plains.Update(t.Context(), u, metav1.UpdateOptions{FieldManager: "operator"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := plains.Create(t.Context(), object(t, plain), metav1.CreateOptions{FieldManager: "team"}); err != nil {
		t.Fatal(err)
	}
	operator("Small")
	takeBack := func(t *testing.T, name contract.Operation, unknown bool) {
		was, err := plains.Get(t.Context(), object(t, plain).GetName(), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		journal := &book{}
		a := actionOn(t, object(t, plain, "size: 1", "size: 2"), contract.ApplySettings{Force: true})
		a.Resource, a.HasStatus, a.Note = plains, false, journal.note
		done, err := of(t, name).Act(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		operator("Large with " + string(name))
		e := operation.Earlier{Operation: name, Before: journal.first, Change: done.Applied.Change, After: done.Object}
		if unknown {
			e.Change, e.After = "", nil
		}
		back := rollingBack(t, e)
		back.Resource, back.HasStatus = plains, false
		if done, err = rollBack(t, back); err != nil {
			t.Fatal(err)
		}
		phase, _, _ := unstructured.NestedString(done.Object.Object, "status", "phase")
		if !fields.Same(done.Object, was) || !fields.SameOwnership(done.Object, was) || phase != "Large with "+string(name) {
			t.Errorf("%s: it is %v, and was %v", name, done.Object.Object, was.Object)
		}
	}
	for _, name := range []contract.Operation{operation.Apply, operation.Replace} {
		takeBack(t, name, false)
		takeBack(t, name, true)
	}
}

// conflictingAfter is a client all of whose updates but the first conflict.
type conflictingAfter struct {
	dynamic.ResourceInterface
	updates int
}

func (c *conflictingAfter) Update(ctx context.Context, u *unstructured.Unstructured, options metav1.UpdateOptions, sub ...string) (*unstructured.Unstructured, error) {
	if c.updates++; c.updates > 1 {
		return nil, apierrors.NewConflict(schema.GroupResource{Resource: "deployments"}, u.GetName(), errors.New("the object has been modified"))
	}
	return c.ResourceInterface.Update(ctx, u, options, sub...)
}

// Of a rollback that brought the values back, and is refused the ownership, nobody may
// say that it changed nothing.
func TestRollbackThatIsRefusedHalfway(t *testing.T) {
	owned(t)
	a := rollingBack(t, earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true}))
	a.Resource = &conflictingAfter{ResourceInterface: deployments(t)}
	if done, err := rollBack(t, a); !apierrors.IsConflict(err) || done.Applied.Change != contract.Configured {
		t.Errorf("%+v, %v", done.Applied, err)
	}
}

// What is back already, by an earlier rollback or by somebody's hand, is no reason to
// fail, and nothing is written.
func TestRollbackOfWhatIsBackAlready(t *testing.T) {
	for _, name := range []contract.Operation{operation.Apply, operation.Replace, operation.Delete, operation.Create} {
		t.Run(string(name), func(t *testing.T) {
			if name != operation.Create {
				owned(t)
			}
			e := earlier(t, name, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true})
			first := rollingBack(t, e)
			if _, err := rollBack(t, first); err != nil {
				t.Fatal(err)
			}
			was := live(t, first.Ref.Name)
			done, err := rollBack(t, rollingBack(t, e)) // of another execution
			if err != nil || done.Applied.Change != contract.Unchanged || !reflect.DeepEqual(live(t, first.Ref.Name), was) {
				t.Errorf("%+v, %v", done.Applied, err)
			}
		})
	}
	t.Run("by hand", func(t *testing.T) {
		was := owned(t)
		e := earlier(t, operation.Apply, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: NAME, namespace: default}, spec: {revisionHistoryLimit: 7}}", contract.ApplySettings{})
		write(t, "person", was.GetName(), set(int64(3), "spec", "revisionHistoryLimit"))
		done, err := rollBack(t, rollingBack(t, e))
		if err != nil || done.Applied.Change != contract.Unchanged || !fields.Same(live(t, was.GetName()), was) {
			t.Errorf("%+v, %v", done.Applied, err)
		}
	})
	t.Run("but for its owners", func(t *testing.T) { // the rollback before died between its writes
		was := owned(t)
		e := earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true})
		first := rollingBack(t, e)
		first.Resource = &dying{ResourceInterface: deployments(t), left: 1, made: true}
		if _, err := rollBack(t, first); !errors.Is(err, errDied) {
			t.Fatalf("got %v", err)
		}
		if _, err := rollBack(t, rollingBack(t, e)); err != nil {
			t.Fatal(err)
		}
		expectBack(t, was)
	})
}

// An object that somebody else deletes is not brought back, whatever is written to it.
func TestRollbackOfWhatIsBeingDeleted(t *testing.T) {
	name := owned(t).GetName()
	write(t, "operator", name, func(u *unstructured.Unstructured) { u.SetFinalizers([]string{"example.com/x"}) })
	e := earlier(t, operation.Apply, strings.ReplaceAll(web, "web:1", "web:2"), contract.ApplySettings{Force: true})
	if err := deployments(t).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expectChangedSince(t, rollingBack(t, e), "it is being deleted")
}

// overtakenDeletion is a client before whose first deletion somebody else writes.
type overtakenDeletion struct {
	dynamic.ResourceInterface
	race func()
}

func (o *overtakenDeletion) Delete(ctx context.Context, name string, options metav1.DeleteOptions, sub ...string) error {
	if o.race != nil {
		o.race()
		o.race = nil
	}
	return o.ResourceInterface.Delete(ctx, name, options, sub...)
}

// What was created is deleted in the version that was looked at, and no other.
func TestRollbackOfACreationMeetsARace(t *testing.T) {
	for by, expectGone := range map[string]bool{"controller": true, "other": false} {
		t.Run(by, func(t *testing.T) {
			a := rollingBack(t, earlier(t, operation.Create, web, contract.ApplySettings{}))
			a.Resource = &overtakenDeletion{deployments(t), func() {
				if expectGone {
					write(t, by, a.Ref.Name, set(int64(1), "status", "observedGeneration"), "status")
				} else {
					write(t, by, a.Ref.Name, set(int64(9), "spec", "replicas"))
				}
			}}
			_, err := rollBack(t, a)
			if gone := live(t, a.Ref.Name) == nil; gone != expectGone || gone != (err == nil) || err != nil && fault.NameOf(err) != fault.ChangedSince {
				t.Errorf("gone %t, %v", gone, err)
			}
		})
	}
}

// Somebody else may have created the object after the apply had looked for it: then it
// is not ours to delete.
func TestRollbackOfACreationThatSomebodyElseMade(t *testing.T) {
	a := actionOn(t, object(t, web), contract.ApplySettings{Force: true})
	a.Note = func(_ context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		by(t, "other", object(t, web))
		return live, nil
	}
	done, err := of(t, operation.Apply).Act(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	expectChangedSince(t, rollingBack(t, operation.Earlier{Operation: operation.Apply, Change: done.Applied.Change, After: done.Object}), "(by other)")
}
