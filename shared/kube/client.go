package kube

import (
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

// resource returns the client for one kind in one namespace.
func (c *Client) resource(m contract.Mapping, namespace string) dynamic.ResourceInterface {
	r := c.dynamic.Resource(schema.GroupVersionResource{Group: m.Group, Version: m.Version, Resource: m.Plural})
	if m.Namespaced {
		return r.Namespace(namespace)
	}
	return r
}
