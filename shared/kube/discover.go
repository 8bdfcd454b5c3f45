package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Discover finds where the cluster serves a resource's kind, by its name or its plural,
// with one call: the discovery document of its group and version. It fails with
// [fault.KindNotServed], with [fault.Invalid] where the resource's namespace
// does not fit the kind's scope, or as [Fault] says.
func (c *Client) Discover(ctx context.Context, resource contract.ResourceRef) (contract.Mapping, error) {
	name := cmp.Or(resource.Kind, resource.Plural)
	doing := fmt.Sprintf("look up %s %s", resource.APIVersion, name)
	gv, err := schema.ParseGroupVersion(resource.APIVersion)
	if err != nil {
		return contract.Mapping{}, fault.Wrap(err, fault.KindNotServed, "%s: %s: %v", c.target, doing, err)
	}
	served, err := c.servedIn(ctx, gv)
	if err != nil {
		return contract.Mapping{}, Fault(c.target, doing, err)
	}
	for _, r := range served {
		// Subresources have kinds too; their names hold a slash.
		if !named(r, resource) || strings.Contains(r.Name, "/") {
			continue
		}
		status := slices.ContainsFunc(served, func(sub metav1.APIResource) bool { return sub.Name == r.Name+"/status" })
		mapping := contract.Mapping{Group: gv.Group, Version: gv.Version, Plural: r.Name, Namespaced: r.Namespaced, Status: status}
		return mapping, c.fits(resource, mapping)
	}
	return contract.Mapping{}, fault.New(fault.KindNotServed, "%s: the cluster does not serve %s %s: install its CRD, in this version", c.target, resource.APIVersion, name)
}

func named(served metav1.APIResource, resource contract.ResourceRef) bool {
	return (resource.Kind == "" || served.Kind == resource.Kind) && (resource.Plural == "" || served.Name == resource.Plural)
}

// servedIn returns what a group and version serve: nothing where the cluster
// does not know them.
func (c *Client) servedIn(ctx context.Context, gv schema.GroupVersion) ([]metav1.APIResource, error) {
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := c.rest.Get().AbsPath(path).Do(ctx).Raw()
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fault.Wrap(err, fault.ClusterError, "%s: the discovery document of %s is not JSON: is this a Kubernetes API server?", c.target, gv)
	}
	return list.APIResources, nil
}

func (c *Client) fits(resource contract.ResourceRef, mapping contract.Mapping) error {
	switch {
	case mapping.Namespaced && resource.Namespace == "":
		return fault.New(fault.Invalid, "%s: %s is namespaced: say which namespace in resource.metadata.namespace", c.target, cmp.Or(resource.Kind, resource.Plural))
	case !mapping.Namespaced && resource.Namespace != "":
		return fault.New(fault.Invalid, "%s: %s is cluster-scoped: leave resource.metadata.namespace out", c.target, cmp.Or(resource.Kind, resource.Plural))
	}
	return nil
}
