package kube

import (
	"context"
	"fmt"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

var selfSubjectAccessReviews = schema.GroupVersionResource{
	Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}

// Review asks the cluster whether we may use the verbs on an object, all at
// once over one connection. It fails with [fault.Forbidden] and the verbs that
// are missing, or as [Fault] says.
// https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
func (c *Client) Review(ctx context.Context, resource contract.ResourceRef, mapping contract.Mapping, verbs []string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	allowed := make([]bool, len(verbs))
	errs := make([]error, len(verbs))
	var wait sync.WaitGroup
	for i, verb := range verbs {
		wait.Go(func() { allowed[i], errs[i] = c.may(ctx, verb, resource, mapping) })
	}
	wait.Wait()
	var missing []string
	for i, verb := range verbs {
		if errs[i] != nil {
			return Fault(c.target, "ask what the access role may do", errs[i])
		}
		if !allowed[i] {
			missing = append(missing, verb)
		}
	}
	if missing == nil {
		return nil
	}
	where := "cluster-wide"
	if mapping.Namespaced {
		where = "in namespace " + resource.Namespace
	}
	return fault.New(fault.Forbidden, "%s: RBAC does not allow the access role to %s %s %s",
		c.target, strings.Join(missing, ", "), schema.GroupResource{Group: mapping.Group, Resource: mapping.Plural}, where)
}

func (c *Client) may(ctx context.Context, verb string, resource contract.ResourceRef, mapping contract.Mapping) (bool, error) {
	attributes := map[string]any{
		"verb": verb, "group": mapping.Group, "version": mapping.Version, "resource": mapping.Plural, "name": resource.Name,
	}
	if mapping.Namespaced {
		attributes["namespace"] = resource.Namespace
	}
	review := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": selfSubjectAccessReviews.GroupVersion().String(),
		"kind":       "SelfSubjectAccessReview",
		"spec":       map[string]any{"resourceAttributes": attributes},
	}}
	answer, err := c.dynamic.Resource(selfSubjectAccessReviews).Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("review %s: %w", verb, err)
	}
	allowed, _, err := unstructured.NestedBool(answer.Object, "status", "allowed")
	return allowed, err
}

var selfSubjectReviews = schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "selfsubjectreviews"}

// WhoAmI asks the cluster as whom it knows us, and returns the user and the groups in
// words. A cluster before Kubernetes 1.28 cannot say; that it answers at all says that
// it knows us. It fails as [Fault] says.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review
func (c *Client) WhoAmI(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	review := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": selfSubjectReviews.GroupVersion().String(),
		"kind":       "SelfSubjectReview",
	}}
	answer, err := c.dynamic.Resource(selfSubjectReviews).Create(ctx, review, metav1.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return "a user whose name it does not say", nil
	}
	if err != nil {
		return "", Fault(c.target, "ask the cluster as whom it knows the access role", err)
	}
	user, _, _ := unstructured.NestedString(answer.Object, "status", "userInfo", "username")
	groups, _, _ := unstructured.NestedStringSlice(answer.Object, "status", "userInfo", "groups")
	return fault.Shorten(fmt.Sprintf("user %s of the groups %s", user, strings.Join(groups, ", ")), fault.MaxRepeated), nil
}
