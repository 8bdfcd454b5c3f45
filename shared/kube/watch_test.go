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

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
)

// long is longer than any change takes to be seen.
const long = 20 * time.Second

// put applies a Topic as the admin.
func put(t *testing.T, ref contract.ResourceRef, partitions int64) *unstructured.Unstructured {
	t.Helper()
	object, err := admin(t).Apply(t.Context(), ref.Name, topic(ref, map[string]any{"partitions": partitions}), metav1.ApplyOptions{FieldManager: "kubectl"})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// seen says in a word what a look or a change showed.
func seen(object *unstructured.Unstructured) string {
	if object == nil {
		return "nothing"
	}
	return fmt.Sprint(object.Object["spec"].(map[string]any)["partitions"], " partitions")
}

func expectChange(t *testing.T, watch *kube.Watch, want string) {
	t.Helper()
	object, changed, err := watch.Next(t.Context(), long)
	if err != nil || !changed || seen(object) != want {
		t.Fatalf("saw %s (changed %t, %v), want %s", seen(object), changed, err, want)
	}
}

// No change after the version is missed, be it made before the watch is open, and
// none is seen twice. RBAC rules with resourceNames are enough.
func TestWatch(t *testing.T) {
	ref := refTo("watched")
	first := put(t, ref, 1)
	client := clientIn(t, watchers)
	watch := client.Watch(ref, topics, first.GetResourceVersion())
	put(t, ref, 2)
	put(t, ref, 3)
	expectChange(t, watch, "2 partitions")
	between := watch.Version()
	expectChange(t, watch, "3 partitions")
	if err := admin(t).Delete(t.Context(), ref.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expectChange(t, watch, "nothing")
	watch.Stop()

	later := client.Watch(ref, topics, between)
	defer later.Stop()
	expectChange(t, later, "3 partitions")
	expectChange(t, later, "nothing")
}

func TestWatchFromALook(t *testing.T) {
	ref := refTo("looked-at")
	watch := clientIn(t, readers).Watch(ref, topics, "")
	defer watch.Stop()
	look := func(want string) {
		t.Helper()
		object, err := watch.Look(t.Context())
		if err != nil || seen(object) != want {
			t.Errorf("saw %s (%v), want %s", seen(object), err, want)
		}
	}
	look("nothing")
	put(t, ref, 1)
	look("1 partitions")
	put(t, ref, 2)
	expectChange(t, watch, "2 partitions")
	look("2 partitions")
	put(t, ref, 3)
	expectChange(t, watch, "3 partitions")
}

// A version that the API server has no events for any more is followed by a look.
func TestWatchFromAVersionThatIsTooOld(t *testing.T) {
	ref := refTo("old")
	put(t, ref, 1)
	watch := clientIn(t, readers).Watch(ref, topics, "1")
	defer watch.Stop()
	expectChange(t, watch, "1 partitions")
	put(t, ref, 2)
	expectChange(t, watch, "2 partitions")
}

// A wait that ends without a word is no error.
func TestWatchWithoutAChange(t *testing.T) {
	ref := refTo("unchanged")
	watch := clientIn(t, readers).Watch(ref, topics, put(t, ref, 1).GetResourceVersion())
	defer watch.Stop()
	for _, short := range []time.Duration{-time.Second, 0, 50 * time.Millisecond} {
		object, changed, err := watch.Next(t.Context(), short)
		if object != nil || changed || err != nil {
			t.Errorf("for %s: saw %s, changed %t, %v", short, seen(object), changed, err)
		}
	}
}

// Where the kind itself is gone, so is the object.
func TestWatchOfAKindThatIsGone(t *testing.T) {
	client := serverOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("404 page not found\n"))
	})
	watch := client.Watch(refTo("orders"), topics, "7")
	defer watch.Stop()
	expectChange(t, watch, "nothing")
}

func TestWatchFails(t *testing.T) {
	ref := refTo("orders")
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	down := connect(t, gone)
	gone.Close()
	tests := []struct {
		name   string
		client *kube.Client
		want   fault.Name
		says   string
	}{
		{"a token that the cluster does not know", clientOf(t, "made-up"), fault.Unauthenticated, "watch Topic kafka/orders"},
		{"RBAC", clientIn(t, watchers), fault.Forbidden, `cannot`},
		{"an API server that is down", down, fault.ClusterUnreachable, "connection refused"},
	}
	for _, test := range tests {
		_, err := test.client.Watch(ref, topics, "").Look(t.Context())
		expectFault(t, test.name+", look", err, test.want, test.says)
		_, changed, err := test.client.Watch(ref, topics, "7").Next(t.Context(), long)
		expectFault(t, test.name+", next", err, test.want, test.says)
		if changed {
			t.Errorf("%s: taken for a change", test.name)
		}
	}
}

// A watch that breaks off is opened again: from the last version where it just
// ended, from a look where it ended in an error. A healthy API server does neither
// on demand.
func TestWatchIsOpenedAgain(t *testing.T) {
	ref := refTo("orders")
	at := func(version string) *unstructured.Unstructured {
		object := topic(ref, map[string]any{"partitions": version})
		object.SetResourceVersion(version)
		return object
	}
	var asked []string
	client := serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		asked = append(asked, query.Get("resourceVersion"))
		switch len(asked) {
		case 1: // one event, and the end
			write(t, w, map[string]any{"type": "MODIFIED", "object": at("8")})
		case 2: // a bookmark, and the end
			write(t, w, map[string]any{"type": "BOOKMARK", "object": at("9")})
		case 3:
			write(t, w, map[string]any{"type": "ERROR", "object": apierrors.NewResourceExpired("too old").Status()})
		case 4: // a look
			write(t, w, at("12"))
		}
	})
	watch := client.Watch(ref, topics, "7")
	defer watch.Stop()
	expectChange(t, watch, "8 partitions")
	expectChange(t, watch, "12 partitions")
	if want := []string{"7", "8", "9", ""}; !slices.Equal(asked, want) || watch.Version() != "12" {
		t.Errorf("asked for versions %q, want %q; to go on from %s", asked, want, watch.Version())
	}
}
