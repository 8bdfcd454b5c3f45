package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
)

// relistPause keeps an API server that ends every watch at once from being
// listed in a tight loop.
const relistPause = time.Second

// Follow lists and then watches one object, and calls see for it as it is and
// after each of its changes, with nil when there is none (any more), until see
// says that it is done or the window is over. It takes at least one look,
// however short the window. The watch asks for this one object only, so it
// costs the API server no more than the object's own events.
//
// It returns nil when see was done or the window is over, and otherwise as
// [Fault] says: an API server that cannot be reached is never taken for one
// with nothing to say.
func (c *Client) Follow(ctx context.Context, window time.Duration, resource contract.ResourceRef, mapping contract.Mapping, see func(*unstructured.Unstructured) (done bool)) error {
	f := &follower{
		api: c.resource(mapping, resource.Namespace),
		// RBAC rules with resourceNames understand a selector by name.
		one: metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", resource.Name).String()},
		see: see,
	}
	watching, cancel := context.WithTimeout(ctx, window)
	defer cancel()
	for {
		done, err := f.round(ctx, watching)
		if err != nil {
			return Fault(c.target, "watch "+resource.String(), err)
		}
		if done || watching.Err() != nil {
			return nil
		}
		select {
		case <-watching.Done():
		case <-time.After(relistPause):
		}
	}
}

type follower struct {
	api dynamic.ResourceInterface
	one metav1.ListOptions
	see func(*unstructured.Unstructured) bool
}

// round lists once and watches until the API server ends the watch or the
// window is over. A watch that ends early is nothing unusual: a round follows.
func (f *follower) round(ctx, watching context.Context) (done bool, err error) {
	done, version, err := f.list(ctx)
	if done || err != nil {
		return done, err
	}
	options := f.one
	options.ResourceVersion = version
	watcher, err := f.api.Watch(watching, options)
	if err == nil {
		defer watcher.Stop()
	}
	if watching.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for event := range watcher.ResultChan() {
		object, _ := event.Object.(*unstructured.Unstructured)
		switch event.Type {
		case watch.Added, watch.Modified:
			done = f.see(object)
		case watch.Deleted:
			done = f.see(nil)
		case watch.Error:
			// The version is too old, or the connection broke: the next round's
			// list tells what is the matter, if anything still is.
			return false, nil
		}
		if done {
			return true, nil
		}
	}
	return false, nil
}

// list looks at the object once. It lists rather than gets because a list
// carries the version that a watch goes on from even where there is no object.
func (f *follower) list(ctx context.Context) (done bool, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	list, err := f.api.List(ctx, f.one)
	if err != nil {
		return false, "", err
	}
	var current *unstructured.Unstructured
	if len(list.Items) > 0 {
		current = &list.Items[0]
	}
	return f.see(current), list.GetResourceVersion(), nil
}
