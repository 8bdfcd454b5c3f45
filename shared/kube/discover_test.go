package kube_test

import (
	"net/http"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

func TestDiscover(t *testing.T) {
	client := clientIn(t, "a group of no one")
	tests := []struct {
		apiVersion, kind, namespace string
		want                        contract.Mapping
	}{
		{"messaging.example.com/v1", "Topic", "kafka", topics},
		{"v1", "ConfigMap", "kafka", contract.Mapping{Version: "v1", Plural: "configmaps", Namespaced: true}},
		{"apps/v1", "Deployment", "kafka", contract.Mapping{Group: "apps", Version: "v1", Plural: "deployments", Namespaced: true, Status: true}},
		{"v1", "Namespace", "", contract.Mapping{Version: "v1", Plural: "namespaces", Status: true}},
	}
	for _, test := range tests {
		ref := contract.ResourceRef{APIVersion: test.apiVersion, Kind: test.kind, Namespace: test.namespace, Name: "x"}
		got, err := client.Discover(t.Context(), ref)
		if err != nil || got != test.want {
			t.Errorf("%s %s: got %+v (%v), want %+v", test.apiVersion, test.kind, got, err, test.want)
		}
		ref.Kind, ref.Plural = "", test.want.Plural
		if got, err = client.Discover(t.Context(), ref); err != nil || got != test.want {
			t.Errorf("%s %s: got %+v (%v), want %+v", test.apiVersion, ref.Plural, got, err, test.want)
		}
	}
}

func TestDiscoverFails(t *testing.T) {
	client := clientIn(t, "a group of no one")
	tests := []struct {
		name                        string
		apiVersion, kind, namespace string
		want                        fault.Name
		says                        string
	}{
		{"another kind", "messaging.example.com/v1", "Queue", "kafka", fault.KindNotServed, "does not serve messaging.example.com/v1 Queue"},
		{"another version", "messaging.example.com/v2", "Topic", "kafka", fault.KindNotServed, "does not serve messaging.example.com/v2 Topic"},
		{"another group", "kafka.strimzi.io/v1", "KafkaTopic", "kafka", fault.KindNotServed, "install its CRD"},
		{"a subresource's kind", "apps/v1", "Scale", "kafka", fault.KindNotServed, "does not serve apps/v1 Scale"},
		{"no group and version", "a/b/c", "Topic", "kafka", fault.KindNotServed, "unexpected GroupVersion"},
		{"no namespace", "messaging.example.com/v1", "Topic", "", fault.Invalid, "Topic is namespaced"},
		{"a namespace too many", "v1", "Namespace", "kafka", fault.Invalid, "Namespace is cluster-scoped"},
	}
	for _, test := range tests {
		ref := contract.ResourceRef{APIVersion: test.apiVersion, Kind: test.kind, Namespace: test.namespace, Name: "x"}
		_, err := client.Discover(t.Context(), ref)
		expectFault(t, test.name, err, test.want, test.says)
	}
	ref := contract.ResourceRef{APIVersion: "messaging.example.com/v1", Plural: "queues", Namespace: "kafka", Name: "x"}
	_, err := client.Discover(t.Context(), ref)
	expectFault(t, "another plural", err, fault.KindNotServed, "does not serve messaging.example.com/v1 queues")
	_, err = clientOf(t, "made-up").Discover(t.Context(), refTo("x"))
	expectFault(t, "a token that the cluster does not know", err, fault.Unauthenticated, "look up messaging.example.com/v1 Topic")
	notKubernetes := serverOf(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) })
	_, err = notKubernetes.Discover(t.Context(), refTo("x"))
	expectFault(t, "a web page", err, fault.ClusterError, "is this a Kubernetes API server?")
}
