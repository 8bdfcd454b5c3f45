package kube_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
)

// How the functions behave on real API servers is tested through the whole
// workflow. Here are the cases that a healthy API server does not show on demand.

var (
	target  = contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}
	orders  = contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: "orders"}
	topics  = contract.Mapping{Group: "messaging.example.com", Version: "v1", Plural: "topics", Namespaced: true}
	groupOf = schema.GroupResource{Group: topics.Group, Resource: topics.Plural}
)

// server is an API server that the test writes itself.
func server(t *testing.T, handler http.HandlerFunc) (*kube.Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewTLSServer(handler)
	t.Cleanup(s.Close)
	return connect(t, s.URL, s), s
}

func connect(t *testing.T, endpoint string, signer *httptest.Server) *kube.Client {
	t.Helper()
	client, err := new(kube.Clusters).Client(target, contract.Cluster{Endpoint: endpoint, CA: caOf(signer)}, "the-token")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func caOf(s *httptest.Server) string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return base64.StdEncoding.EncodeToString(ca)
}

func topic(version string) map[string]any {
	return map[string]any{"apiVersion": orders.APIVersion, "kind": orders.Kind,
		"metadata": map[string]any{"name": orders.Name, "namespace": orders.Namespace, "uid": "u", "resourceVersion": version}}
}

func write(t *testing.T, w http.ResponseWriter, status int, value any) {
	t.Helper()
	w.Header().Set("Content-Type", "application/json")
	if status != http.StatusOK {
		w.WriteHeader(status)
	}
	if err := json.NewEncoder(w).Encode(value); err != nil {
		t.Log("the client went away:", err)
	}
	w.(http.Flusher).Flush()
}

func list(items ...map[string]any) map[string]any {
	return map[string]any{"apiVersion": orders.APIVersion, "kind": "TopicList", "metadata": map[string]any{"resourceVersion": "7"}, "items": items}
}

// watching answers lists and watches of the one object.
func watching(t *testing.T, lists func(n int) map[string]any, watches func(n int, version string, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	t.Helper()
	var listed, watched atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if r.URL.Path != "/apis/messaging.example.com/v1/namespaces/kafka/topics" || query.Get("fieldSelector") != "metadata.name=orders" {
			t.Errorf("asked for %s", r.URL)
		}
		if r.Header.Get("Authorization") != "Bearer the-token" {
			t.Errorf("authorized by %q", r.Header.Get("Authorization"))
		}
		if query.Get("watch") == "" {
			write(t, w, http.StatusOK, lists(int(listed.Add(1))))
			return
		}
		watches(int(watched.Add(1)), query.Get("resourceVersion"), w, r)
	}
}

// follow returns the resourceVersions that were seen, "gone" for no object.
func follow(t *testing.T, client *kube.Client, window time.Duration, until string) ([]string, error) {
	t.Helper()
	var seen []string
	err := client.Follow(t.Context(), window, orders, topics, func(object *unstructured.Unstructured) bool {
		version := "gone"
		if object != nil {
			version = object.GetResourceVersion()
		}
		seen = append(seen, version)
		return version == until
	})
	return seen, err
}

func expectSeen(t *testing.T, got []string, err error, want string) {
	t.Helper()
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("saw %q (%v), want %q", got, err, want)
	}
}

func TestFollowGoesOnFromTheList(t *testing.T) {
	client, _ := server(t, watching(t,
		func(int) map[string]any { return list(topic("5")) },
		func(_ int, version string, w http.ResponseWriter, _ *http.Request) {
			if version != "7" {
				t.Errorf("watches from version %q", version)
			}
			for _, v := range []string{"8", "9", "10"} {
				write(t, w, http.StatusOK, map[string]any{"type": "MODIFIED", "object": topic(v)})
			}
		}))
	got, err := follow(t, client, time.Minute, "9")
	expectSeen(t, got, err, "5 8 9")
}

// A watch that breaks off, for whatever reason, is followed by a new list.
func TestFollowListsAnew(t *testing.T) {
	client, _ := server(t, watching(t,
		func(n int) map[string]any { return list(topic(fmt.Sprint("listed-", n))) },
		func(n int, _ string, w http.ResponseWriter, _ *http.Request) {
			if n == 1 {
				expired := apierrors.NewResourceExpired("too old").Status()
				write(t, w, http.StatusOK, map[string]any{"type": "ERROR", "object": expired})
			}
			// The second one just ends.
		}))
	got, err := follow(t, client, time.Minute, "listed-3")
	expectSeen(t, got, err, "listed-1 listed-2 listed-3")
}

func TestFollowSeesTheObjectGo(t *testing.T) {
	client, _ := server(t, watching(t,
		func(int) map[string]any { return list(topic("5")) },
		func(_ int, _ string, w http.ResponseWriter, _ *http.Request) {
			write(t, w, http.StatusOK, map[string]any{"type": "DELETED", "object": topic("6")})
		}))
	got, err := follow(t, client, time.Minute, "gone")
	expectSeen(t, got, err, "5 gone")
}

// A window that ends without a word is no error, and even no window at all
// takes one look.
func TestFollowEndsWithItsWindow(t *testing.T) {
	for _, window := range []time.Duration{-time.Second, 0, 50 * time.Millisecond} {
		client, _ := server(t, watching(t,
			func(int) map[string]any { return list(topic("5")) },
			func(_ int, _ string, w http.ResponseWriter, r *http.Request) {
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}))
		got, err := follow(t, client, window, "never")
		expectSeen(t, got, err, "5")
	}
}

func TestFollowFailsWhereItCannotLook(t *testing.T) {
	client, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		write(t, w, http.StatusUnauthorized, apierrors.NewUnauthorized("no").Status())
	})
	if _, err := follow(t, client, time.Minute, ""); fault.NameOf(err) != fault.Unauthenticated {
		t.Errorf("refused: %v", err)
	}
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	client = connect(t, gone.URL, gone)
	gone.Close()
	if _, err := follow(t, client, time.Minute, ""); fault.NameOf(err) != fault.ClusterUnreachable || !strings.HasPrefix(err.Error(), target.String()) {
		t.Errorf("gone: %v", err)
	}
}

// A server that cannot prove to be the cluster never gets the token.
func TestTLSIsVerified(t *testing.T) {
	var reached atomic.Bool
	_, impostor := server(t, func(http.ResponseWriter, *http.Request) { reached.Store(true) })
	client, err := new(kube.Clusters).Client(target, contract.Cluster{Endpoint: impostor.URL, CA: base64.StdEncoding.EncodeToString(otherCA(t))}, "the-token")
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Discover(t.Context(), orders)
	if fault.NameOf(err) != fault.ClusterUnreachable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
	if reached.Load() {
		t.Error("a request reached a server with a certificate of another authority")
	}
}

// otherCA makes the CA certificate of some other cluster.
func otherCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "other"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestFault(t *testing.T) {
	conflict := apierrors.NewApplyConflict([]metav1.StatusCause{
		{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.partitions", Message: `conflict with "kubectl"`},
		{Type: metav1.CauseTypeFieldManagerConflict, Field: ".spec.retention", Message: `conflict with "ops"`},
	}, "Apply failed with 2 conflicts")
	webhook := apierrors.NewGenericServerResponse(http.StatusBadRequest, "patch", groupOf, "orders", "admission webhook \"x\" denied the request", 0, true)
	tests := []struct {
		err  error
		want fault.Name
		says string
	}{
		{apierrors.NewUnauthorized("who"), fault.Unauthenticated, ""},
		{apierrors.NewForbidden(groupOf, "orders", errors.New("no rule")), fault.Forbidden, "no rule"},
		{apierrors.NewNotFound(groupOf, "orders"), fault.NotFound, ""},
		{apierrors.NewAlreadyExists(groupOf, "orders"), fault.AlreadyExists, ""},
		{conflict, fault.Conflict, `.spec.partitions: conflict with "kubectl"; .spec.retention: conflict with "ops"`},
		{apierrors.NewInvalid(schema.GroupKind{Kind: "Topic"}, "orders", nil), fault.Invalid, ""},
		{apierrors.NewBadRequest("bad"), fault.Invalid, "bad"},
		{webhook, fault.Invalid, ""},
		{apierrors.NewTooManyRequests("slow", 1), fault.Throttled, ""},
		{apierrors.NewInternalError(errors.New("failed calling webhook")), fault.ClusterError, "failed calling webhook"},
		{apierrors.NewServerTimeout(groupOf, "patch", 1), fault.ClusterError, ""},
		{apierrors.NewServiceUnavailable("starting"), fault.ClusterUnreachable, ""},
		{fmt.Errorf("wrapped: %w", apierrors.NewUnauthorized("who")), fault.Unauthenticated, ""},
		{errors.New("dial tcp: connection refused"), fault.ClusterUnreachable, "connection refused"},
		{fault.New(fault.KindNotServed, "named already"), fault.KindNotServed, "named already"},
	}
	for _, test := range tests {
		err := kube.Fault(target, "apply Topic kafka/orders", test.err)
		if fault.NameOf(err) != test.want || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: got %s: %v, want %s", test.err, fault.NameOf(err), err, test.want)
		}
	}
	long := kube.Fault(target, "apply", apierrors.NewBadRequest(strings.Repeat("ä", 5000)))
	if len(long.Error()) > 800 {
		t.Errorf("a message of %d bytes", len(long.Error()))
	}
	if kube.Fault(target, "x", nil) != nil {
		t.Error("no error became one")
	}
}

// RBAC and admission forbid with the same code and reason.
func TestForbiddenApply(t *testing.T) {
	for _, test := range []struct {
		allowed bool
		want    fault.Name
		says    string
	}{
		{true, fault.Invalid, "admission does not: admission webhook \"quota\" denied the request"},
		{false, fault.Forbidden, "RBAC does not allow the access role to get, create, patch topics.messaging.example.com in namespace kafka"},
	} {
		client, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodGet:
				write(t, w, http.StatusOK, topic("5"))
			case http.MethodPatch:
				write(t, w, http.StatusForbidden, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
					Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: `admission webhook "quota" denied the request`})
			case http.MethodPost:
				write(t, w, http.StatusOK, map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "status": map[string]any{"allowed": test.allowed}})
			}
		})
		apply, err := operation.Of(operation.Apply)
		if err != nil {
			t.Fatal(err)
		}
		ref := contract.ResourceRef{Kind: "Topic", Namespace: "kafka", Name: "orders"}
		err = client.Do(t.Context(), apply, ref, topics, func(ctx context.Context, api dynamic.ResourceInterface) error {
			_, err := apply.Act(ctx, api, &unstructured.Unstructured{Object: topic("")}, contract.ApplySettings{FieldManager: "crossapply"})
			return err
		})
		if fault.NameOf(err) != test.want || !strings.Contains(err.Error(), test.says) {
			t.Errorf("got %s: %v", fault.NameOf(err), err)
		}
	}
}

func TestDiscover(t *testing.T) {
	served := metav1.APIResourceList{GroupVersion: "messaging.example.com/v1", APIResources: []metav1.APIResource{
		{Name: "topics", Kind: "Topic", Namespaced: true},
		{Name: "topics/status", Kind: "Topic", Namespaced: true},
		{Name: "topics/scale", Kind: "Scale", Namespaced: true},
		{Name: "brokers", Kind: "Broker"},
	}}
	client, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/apis/messaging.example.com/v1" {
			http.NotFound(w, r)
			return
		}
		write(t, w, http.StatusOK, served)
	})
	ref := func(apiVersion, kind, namespace string) contract.ResourceRef {
		return contract.ResourceRef{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: "x"}
	}
	tests := []struct {
		ref  contract.ResourceRef
		want contract.Mapping
		err  fault.Name
	}{
		{ref: ref("messaging.example.com/v1", "Topic", "kafka"), want: topics},
		{ref: ref("messaging.example.com/v1", "Broker", ""), want: contract.Mapping{Group: "messaging.example.com", Version: "v1", Plural: "brokers"}},
		{ref: ref("messaging.example.com/v1", "Queue", "kafka"), err: fault.KindNotServed},
		{ref: ref("messaging.example.com/v1", "Scale", "kafka"), err: fault.KindNotServed},
		{ref: ref("messaging.example.com/v2", "Topic", "kafka"), err: fault.KindNotServed},
		{ref: ref("v1", "ConfigMap", "kafka"), err: fault.KindNotServed},
		{ref: ref("messaging.example.com/v1", "Topic", ""), err: fault.Invalid},
		{ref: ref("messaging.example.com/v1", "Broker", "kafka"), err: fault.Invalid},
	}
	for _, test := range tests {
		got, err := client.Discover(t.Context(), test.ref)
		if test.err != "" {
			if fault.NameOf(err) != test.err {
				t.Errorf("%+v: got %v, want %s", test.ref, err, test.err)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%+v: got %+v (%v), want %+v", test.ref, got, err, test.want)
		}
	}
}
