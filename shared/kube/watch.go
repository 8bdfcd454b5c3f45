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

// reopenPause keeps an API server that ends every watch at once from being asked
// in a tight loop.
const reopenPause = time.Second

// Watch follows one object from a version on. It asks for this one object only, so
// it costs the API server no more than the object's own events.
type Watch struct {
	client   *Client
	api      dynamic.ResourceInterface
	resource contract.ResourceRef
	// version is the one from which to go on; empty where it is not known, or too
	// old for the API server.
	version string
	events  watch.Interface // nil: not open
	cancel  context.CancelFunc
	opened  time.Time // when it was last
}

// Watch returns a watch from a resource version on; an empty one stands for the
// present. It calls nothing yet, and must be stopped.
func (c *Client) Watch(resource contract.ResourceRef, mapping contract.Mapping, version string) *Watch {
	return &Watch{client: c, api: c.resource(mapping, resource.Namespace), resource: resource, version: version}
}

// Stop ends the watch.
func (w *Watch) Stop() {
	if w.events != nil {
		w.events.Stop()
		w.cancel()
		w.events = nil
	}
}

// Version returns the version from which a later watch can go on.
func (w *Watch) Version() string { return w.version }

// Look returns the object as it is now, nil where there is none. The watch goes on
// from there.
func (w *Watch) Look(ctx context.Context) (*unstructured.Unstructured, error) {
	w.Stop()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	object, err := w.api.Get(ctx, w.resource.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, w.fault(err)
	}
	w.version = object.GetResourceVersion()
	return object, nil
}

// Next waits for the object's next change. It returns the object after it, nil
// where it was deleted, and changed false where none came for so long. It takes a
// look where the version to go on from is too old. It fails as [Fault]
// says: an API server that cannot be reached is never taken for one with nothing
// to say.
func (w *Watch) Next(ctx context.Context, long time.Duration) (object *unstructured.Unstructured, changed bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	for waiting.Err() == nil {
		switch {
		case w.version == "":
			object, err := w.Look(ctx) // a look is always taken to its end
			return object, err == nil, err
		case w.events == nil:
			if err := w.open(waiting); err != nil {
				return nil, false, err
			}
		default:
			select {
			case <-waiting.Done():
			case event, open := <-w.events.ResultChan():
				if object, changed := w.take(event, open); changed {
					return object, true, nil
				}
			}
		}
	}
	if err := ctx.Err(); err != nil { // not this wait, but the caller's time is over
		return nil, false, w.fault(err)
	}
	return nil, false, nil
}

// open opens the watch, or finds that it takes a look to go on. An API
// server that does not answer in time is an error, also where the wait is over
// before: silence must not be taken for an object that does not change.
func (w *Watch) open(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(time.Until(w.opened.Add(reopenPause))):
	}
	w.opened = time.Now()
	// The watch outlives this call, and ends by Stop.
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	answered := time.AfterFunc(requestTimeout, cancel)
	events, err := w.api.Watch(watching, metav1.ListOptions{
		// RBAC rules with resourceNames understand a selector by name.
		FieldSelector:       fields.OneTermEqualSelector("metadata.name", w.resource.Name).String(),
		ResourceVersion:     w.version,
		AllowWatchBookmarks: true,
	})
	answered.Stop()
	if err != nil {
		cancel()
		// Not found is the kind, or the namespace: a look tells what it means for the object.
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsNotFound(err) {
			w.version = ""
			return nil
		}
		return w.fault(err)
	}
	w.events, w.cancel = events, cancel
	return nil
}

// take reads one event. A watch that ends is nothing unusual: it is opened again
// from the last version.
func (w *Watch) take(event watch.Event, open bool) (object *unstructured.Unstructured, changed bool) {
	if !open {
		w.Stop()
		return nil, false
	}
	object, _ = event.Object.(*unstructured.Unstructured)
	switch event.Type {
	case watch.Added, watch.Modified, watch.Deleted, watch.Bookmark:
		w.version = object.GetResourceVersion()
	case watch.Error:
		// The version is too old, or the connection broke: the next look tells what is
		// the matter, if anything still is.
		w.Stop()
		w.version = ""
		return nil, false
	}
	if event.Type == watch.Deleted {
		return nil, true
	}
	return object, event.Type != watch.Bookmark
}

func (w *Watch) fault(err error) error {
	return Fault(w.client.target, "watch "+w.resource.String(), err)
}
