package kube_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
)

var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Objects: objects})

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

func objects() ([]*unstructured.Unstructured, error) {
	ours, err := cluster.DecodeFiles(os.DirFS("testdata"), "objects.yaml")
	if err != nil {
		return nil, err
	}
	theirs, err := cluster.DecodeFiles(examples.Files, "rbac.yaml", "crd.yaml")
	return append(ours, theirs...), err
}

// The groups that testdata/objects.yaml and the examples bind.
const (
	deployers = deployment.Group
	readers   = "readers"
	watchers  = "watchers"
)

var (
	target = contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}
	topics = contract.Mapping{Group: "messaging.example.com", Version: "v1", Plural: "topics", Namespaced: true, Status: true}
)

func refTo(name string) contract.ResourceRef {
	return contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: name}
}

// clientOf returns a client of the API server with a token.
func clientOf(t *testing.T, token string) *kube.Client {
	t.Helper()
	c := servers.Clusters(t)[0]
	client, err := new(kube.Clusters).Client(target, contract.Cluster{
		Endpoint: c.Endpoint(),
		CA:       base64.StdEncoding.EncodeToString(c.CAData),
	}, token)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clientIn returns a client of the API server for a user in a group.
func clientIn(t *testing.T, group string) *kube.Client {
	t.Helper()
	return clientOf(t, servers.Token(t, "jane", group))
}

// admin may do everything with the topics of namespace kafka.
func admin(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(servers.Clusters(t)[0].AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Group: topics.Group, Version: topics.Version, Resource: topics.Plural}).Namespace("kafka")
}

// topic is a Topic to apply.
func topic(ref contract.ResourceRef, spec map[string]any) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion(ref.APIVersion)
	object.SetKind(ref.Kind)
	object.SetNamespace(ref.Namespace)
	object.SetName(ref.Name)
	return object
}

// serverOf returns a client of an API server that the test writes itself, for what
// a healthy one does not do on demand.
func serverOf(t *testing.T, handler http.HandlerFunc) *kube.Client {
	t.Helper()
	s := httptest.NewTLSServer(handler)
	t.Cleanup(s.Close)
	return connect(t, s)
}

func connect(t *testing.T, s *httptest.Server) *kube.Client {
	t.Helper()
	client, err := new(kube.Clusters).Client(target, contract.Cluster{Endpoint: s.URL, CA: caOf(s)}, "the-token")
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func caOf(s *httptest.Server) string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return base64.StdEncoding.EncodeToString(ca)
}

func write(t *testing.T, w http.ResponseWriter, value any) {
	t.Helper()
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		t.Error(err)
	}
}

// expectFault checks an error's name, that it begins with the target, and what it says.
func expectFault(t *testing.T, what string, err error, want fault.Name, says string) {
	t.Helper()
	if fault.NameOf(err) != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
		return
	}
	if message := err.Error(); !strings.HasPrefix(message, target.String()+": ") || !strings.Contains(message, says) {
		t.Errorf("%s: got %q, want it to say %q", what, message, says)
	}
}
