// Package manifest is what a request's resources and overrides come to on a target:
// plan writes both into the run bucket, and apply makes the object of them.
package manifest

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/mergepatch"
)

// Object is a Kubernetes object, or a part of one, whose whole numbers stay whole
// when it is read.
type Object map[string]any

// UnmarshalJSON reads an object, or null.
func (o *Object) UnmarshalJSON(text []byte) error {
	return kjson.UnmarshalCaseSensitivePreserveInts(text, (*map[string]any)(o))
}

// Bundle is the resources of a request, in its order, and its overrides.
type Bundle struct {
	Resources []Object   `json:"resources"`
	Overrides []Override `json:"overrides,omitempty"`
}

// Override changes one of the resources.
type Override struct {
	// Resource is the index of the resource.
	Resource int `json:"resource"`
	// Patch is an RFC 7386 merge patch for it.
	Patch Object `json:"patch"`
}

// Effective returns a resource, by its index, as it is on a target that has some of
// the overrides: their indexes, in the order in which they are made. The object is
// the caller's own.
func (b Bundle) Effective(resource int, overrides []int) (Object, error) {
	if resource < 0 || resource >= len(b.Resources) {
		return nil, fmt.Errorf("there is no resource %d: there are %d", resource, len(b.Resources))
	}
	object := map[string]any(b.Resources[resource])
	for _, i := range overrides {
		if i < 0 || i >= len(b.Overrides) {
			return nil, fmt.Errorf("there is no override %d: there are %d", i, len(b.Overrides))
		}
		if override := b.Overrides[i]; override.Resource == resource {
			object = mergepatch.Apply(object, map[string]any(override.Patch)).(map[string]any)
		}
	}
	return runtime.DeepCopyJSON(object), nil
}
