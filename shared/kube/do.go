package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// actionTimeout bounds the few requests of one action.
const actionTimeout = 2 * requestTimeout

// Do acts on a resource, as the verb of messages says: do gets the client for the
// resource's kind and namespace. What do returns is named as [Fault] says; but a
// refusal that RBAC does not explain, by the verbs that do uses, is admission's, and a
// [fault.Invalid].
func (c *Client) Do(ctx context.Context, verb string, resource contract.ResourceRef, mapping contract.Mapping, verbs []string,
	do func(context.Context, dynamic.ResourceInterface) error,
) error {
	acting, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	err := do(acting, c.resource(mapping, resource.Namespace))
	if apierrors.IsForbidden(err) {
		return c.refusal(ctx, verb, resource, mapping, verbs, err)
	}
	return Fault(c.target, verb+" "+resource.String(), err)
}

// refusal tells apart who forbade an action: RBAC, or admission. A webhook, an
// exceeded quota and a terminating namespace answer with the same code and
// reason as RBAC does, but what helps is another.
func (c *Client) refusal(ctx context.Context, verb string, resource contract.ResourceRef, mapping contract.Mapping, verbs []string, err error) error {
	if denied := c.Review(ctx, resource, mapping, verbs); denied != nil {
		return denied
	}
	return fault.Wrap(err, fault.Invalid, "%s: %s %s: RBAC allows it, but admission does not: %s",
		c.target, verb, resource, fault.Shorten(err.Error(), fault.MaxRepeated))
}
