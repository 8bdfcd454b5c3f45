package kube_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/fault"
)

// No change is missed, be it made between the list and the watch, and none is
// seen twice.
func TestFollow(t *testing.T) {
	ref, api := refTo("watched"), admin(t)
	apply := func(partitions int64) {
		object := topic(ref, map[string]any{"partitions": partitions})
		if _, err := api.Apply(t.Context(), ref.Name, object, metav1.ApplyOptions{FieldManager: "kubectl"}); err != nil {
			t.Fatal(err)
		}
	}
	looks := []struct {
		sees string
		then func()
	}{
		{"nothing", func() { apply(1); apply(2) }},
		{"1 partitions", func() {}},
		{"2 partitions", func() {
			if err := api.Delete(t.Context(), ref.Name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}},
		{"nothing", func() {}},
	}
	count := 0
	// RBAC rules with resourceNames are enough.
	err := clientIn(t, watchers).Follow(t.Context(), 20*time.Second, ref, topics, func(object *unstructured.Unstructured) bool {
		sees := "nothing"
		if object != nil {
			sees = fmt.Sprint(object.Object["spec"].(map[string]any)["partitions"], " partitions")
		}
		if sees != looks[count].sees {
			t.Errorf("look %d: saw %s, want %s", count, sees, looks[count].sees)
		}
		looks[count].then()
		count++
		return count == len(looks)
	})
	if err != nil || count != len(looks) {
		t.Errorf("%d looks, want %d: %v", count, len(looks), err)
	}
}

// A window that ends without a word is no error, and even no window at all
// takes one look.
func TestFollowEndsWithItsWindow(t *testing.T) {
	client := clientIn(t, readers)
	for _, window := range []time.Duration{-time.Second, 0, 50 * time.Millisecond} {
		looks := 0
		err := client.Follow(t.Context(), window, refTo("never-there"), topics, func(*unstructured.Unstructured) bool {
			looks++
			return false
		})
		if err != nil || looks != 1 {
			t.Errorf("a window of %s: %d looks, %v", window, looks, err)
		}
	}
}

var orders = refTo("orders")

func TestFollowFailsWhereItCannotLook(t *testing.T) {
	see := func(*unstructured.Unstructured) bool { return true }
	err := clientOf(t, "made-up").Follow(t.Context(), time.Minute, orders, topics, see)
	expectFault(t, "a token that the cluster does not know", err, fault.Unauthenticated, "watch Topic kafka/orders")
	err = clientIn(t, watchers).Follow(t.Context(), time.Minute, orders, topics, see)
	expectFault(t, "RBAC", err, fault.Forbidden, `cannot list resource "topics"`)
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	client := connect(t, gone)
	gone.Close()
	err = client.Follow(t.Context(), time.Minute, orders, topics, see)
	expectFault(t, "an API server that is down", err, fault.ClusterUnreachable, "connection refused")
}

// A watch that breaks off, for whatever reason, is followed by a new list.
func TestFollowListsAnew(t *testing.T) {
	listed := 0
	client := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") == "" {
			listed++
			item := topic(orders, nil)
			item.SetResourceVersion(fmt.Sprint("listed-", listed))
			write(t, w, http.StatusOK, map[string]any{"apiVersion": orders.APIVersion, "kind": "TopicList", "items": []any{item}})
			return
		}
		if listed == 1 {
			write(t, w, http.StatusOK, map[string]any{"type": "ERROR", "object": apierrors.NewResourceExpired("too old").Status()})
		}
		// The second one just ends.
	})
	var seen []string
	err := client.Follow(t.Context(), time.Minute, orders, topics, func(object *unstructured.Unstructured) bool {
		seen = append(seen, object.GetResourceVersion())
		return len(seen) == 3
	})
	if want := []string{"listed-1", "listed-2", "listed-3"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("saw %q (%v), want %q", seen, err, want)
	}
}
