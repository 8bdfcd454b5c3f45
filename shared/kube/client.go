package kube

import (
	"encoding/base64"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/shared/contract"
)

// requestTimeout bounds every single request but a watch.
const requestTimeout = 15 * time.Second

// Client talks to one cluster.
type Client struct {
	target  contract.Target
	dynamic dynamic.Interface
	rest    rest.Interface
}

// Connect returns a client for a cluster with a bearer token. It does not call
// the cluster. TLS is always verified against the cluster's CA. client-go keeps
// connections by CA, so a warm sandbox reuses them.
func Connect(target contract.Target, cluster contract.Cluster, token string) (*Client, error) {
	ca, err := base64.StdEncoding.DecodeString(cluster.CA)
	if err != nil {
		return nil, fmt.Errorf("%s: the cluster's CA data is not base64: %w", target, err)
	}
	config := &rest.Config{
		Host:            cluster.Endpoint,
		TLSClientConfig: rest.TLSClientConfig{CAData: ca},
		BearerToken:     token,
		UserAgent:       "crossapply",
		// A handful of calls per invocation: the API server's own priority and
		// fairness is the limit that counts.
		QPS: -1,
	}
	client, err := rest.UnversionedRESTClientFor(dynamic.ConfigFor(config))
	if err != nil {
		return nil, fmt.Errorf("%s: connect to %s: %w", target, cluster.Endpoint, err)
	}
	return &Client{target: target, dynamic: dynamic.New(client), rest: client}, nil
}

// resource returns the client for one kind in one namespace.
func (c *Client) resource(m contract.Mapping, namespace string) dynamic.ResourceInterface {
	r := c.dynamic.Resource(schema.GroupVersionResource{Group: m.Group, Version: m.Version, Resource: m.Plural})
	if m.Namespaced {
		return r.Namespace(namespace)
	}
	return r
}
