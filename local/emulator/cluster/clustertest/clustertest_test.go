package clustertest_test

import (
	"os"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
)

var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Clusters: 2, Objects: objects})

func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }

func objects() ([]*unstructured.Unstructured, error) {
	binding := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
		"metadata": map[string]any{"name": "readers"},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-view"},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "readers"}},
	}}
	return []*unstructured.Unstructured{cluster.Namespace("kafka"), binding}, nil
}

func list(t *testing.T, c *cluster.Cluster, bearer string) error {
	t.Helper()
	client, err := dynamic.NewForConfig(&rest.Config{
		Host: c.Endpoint(), BearerToken: bearer, TLSClientConfig: rest.TLSClientConfig{CAData: c.CAData},
	})
	if err != nil {
		t.Fatal(err)
	}
	configMaps := schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	_, err = client.Resource(configMaps).Namespace("kafka").List(t.Context(), metav1.ListOptions{})
	return err
}

func TestToken(t *testing.T) {
	for _, c := range servers.Clusters(t) {
		if err := list(t, c, servers.Token(t, "jane", "readers")); err != nil {
			t.Errorf("%s: a user of a bound group: %v", c.Name, err)
		}
		if err := list(t, c, servers.Token(t, "jane", "writers")); !apierrors.IsForbidden(err) {
			t.Errorf("%s: a user of another group: %v, want forbidden", c.Name, err)
		}
		if err := list(t, c, "made-up"); !apierrors.IsUnauthorized(err) {
			t.Errorf("%s: a made-up token: %v, want unauthorized", c.Name, err)
		}
	}
}

func TestTokenEndsWithItsTest(t *testing.T) {
	var bearer string
	t.Run("gets a token", func(t *testing.T) { bearer = servers.Token(t, "jane", "readers") })
	if err := list(t, servers.Clusters(t)[0], bearer); !apierrors.IsUnauthorized(err) {
		t.Errorf("the token of a test that has ended: %v, want unauthorized", err)
	}
}
