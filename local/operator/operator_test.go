package operator_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/operator"
)

var topics = schema.GroupVersionResource{Group: "messaging.example.com", Version: "v1", Resource: "topics"}

// TestOperator runs two operators in one process against two real API servers.
func TestOperator(t *testing.T) {
	clusters := startClusters(t, 2)
	for _, c := range clusters {
		ctx, cancel := context.WithCancel(t.Context())
		o, err := operator.Start(ctx, c.AdminConfig(), operator.Options{Delay: operator.After(300 * time.Millisecond)})
		cancel() // bounds the start alone
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := o.Stop(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("its start ends with the context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := operator.Start(ctx, clusters[0].AdminConfig(), operator.Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("becomes ready on each cluster", func(t *testing.T) {
		for _, c := range clusters {
			client := topicsOf(t, c.AdminConfig())
			create(t, client, "orders", operator.Converge)
			progressing := await(t, client, "orders", hasReady(metav1.ConditionFalse, 1))
			if ready := condition(t, progressing, "Ready"); ready.Reason != "Progressing" {
				t.Errorf("reason = %q, want Progressing", ready.Reason)
			}
			await(t, client, "orders", hasReady(metav1.ConditionTrue, 1))
		}
	})
	client := topicsOf(t, clusters[0].AdminConfig())
	t.Run("begins anew with each generation", func(t *testing.T) {
		grow(t, client, "orders")
		await(t, client, "orders", hasReady(metav1.ConditionFalse, 2))
		await(t, client, "orders", hasReady(metav1.ConditionTrue, 2))
	})
	t.Run("late leaves a stale Ready for the delay", func(t *testing.T) {
		create(t, client, "late", operator.Late)
		await(t, client, "late", hasReady(metav1.ConditionTrue, 1))
		grow(t, client, "late")
		await(t, client, "late", hasReady(metav1.ConditionTrue, 2))
	})
	t.Run("stalled", func(t *testing.T) {
		create(t, client, "stalled", operator.Stalled)
		got := await(t, client, "stalled", func(o *unstructured.Unstructured) bool {
			stalled := condition(t, o, "Stalled")
			return stalled != nil && stalled.Status == metav1.ConditionTrue
		})
		if stalled := condition(t, got, "Stalled"); stalled.Reason == "" || stalled.Message == "" || stalled.ObservedGeneration != 1 {
			t.Errorf("Stalled = %+v, want a reason, a message and generation 1", stalled)
		}
	})
	t.Run("survives the API server", func(t *testing.T) {
		if err := clusters[1].Stop(); err != nil {
			t.Fatal(err)
		}
		if err := clusters[1].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		other := topicsOf(t, clusters[1].AdminConfig())
		create(t, other, "after", operator.Converge)
		await(t, other, "after", hasReady(metav1.ConditionTrue, 1))
	})
}

func startClusters(t *testing.T, n int) []*cluster.Cluster {
	t.Helper()
	found, err := binaries.Find(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := cluster.DecodeFiles(examples.Files, "crd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := cluster.Config{Binaries: found, STS: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}} // nobody signs in with a token
	for i := range n {
		config.Clusters = append(config.Clusters, cluster.Spec{
			Name: "c" + string(rune('a'+i)), Account: "111111111111", Region: "eu-west-1",
			Objects: append([]*unstructured.Unstructured{cluster.Namespace("kafka")}, objects...),
		})
	}
	cp, err := cluster.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Close(); err != nil {
			t.Error(err)
		}
	})
	return cp.Clusters()
}

func topicsOf(t *testing.T, config *rest.Config) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(topics).Namespace("kafka")
}

func create(t *testing.T, client dynamic.ResourceInterface, name string, behavior operator.Behavior) {
	t.Helper()
	topic := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "messaging.example.com/v1", "kind": "Topic",
		"metadata": map[string]any{"name": name, "annotations": map[string]any{operator.BehaviorAnnotation: string(behavior)}},
		"spec":     map[string]any{"partitions": int64(1)},
	}}
	if _, err := client.Create(t.Context(), topic, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func grow(t *testing.T, client dynamic.ResourceInterface, name string) {
	t.Helper()
	patch := []byte(`{"spec":{"partitions":2}}`)
	if _, err := client.Patch(t.Context(), name, "application/merge-patch+json", patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// await watches until the Topic is as wanted, so that no state in between is missed.
func await(t *testing.T, client dynamic.ResourceInterface, name string, wanted func(*unstructured.Unstructured) bool) *unstructured.Unstructured {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	watch, err := client.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	var last any
	for event := range watch.ResultChan() {
		last = event.Object
		if topic, ok := event.Object.(*unstructured.Unstructured); ok && topic.GetName() == name && wanted(topic) {
			return topic
		}
	}
	t.Fatalf("%s did not come to what was awaited; last seen: %v", name, last)
	return nil
}

func hasReady(status metav1.ConditionStatus, generation int64) func(*unstructured.Unstructured) bool {
	return func(topic *unstructured.Unstructured) bool {
		var got struct {
			ObservedGeneration int64              `json:"observedGeneration"`
			Conditions         []metav1.Condition `json:"conditions"`
		}
		content, _, _ := unstructured.NestedMap(topic.Object, "status")
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &got); err != nil {
			return false
		}
		ready := meta.FindStatusCondition(got.Conditions, "Ready")
		return ready != nil && ready.Status == status && ready.ObservedGeneration == generation && got.ObservedGeneration == generation
	}
}

func condition(t *testing.T, topic *unstructured.Unstructured, kind string) *metav1.Condition {
	t.Helper()
	var got struct {
		Conditions []metav1.Condition `json:"conditions"`
	}
	content, _, _ := unstructured.NestedMap(topic.Object, "status")
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &got); err != nil {
		t.Fatal(err)
	}
	return meta.FindStatusCondition(got.Conditions, kind)
}
