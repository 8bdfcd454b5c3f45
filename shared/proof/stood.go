package proof

import (
	"encoding/json"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
)

// Stood returns how an object stands, for who looks at it again later: whether it is
// still the same object, whether it was changed, and whether the condition that says
// Ready has changed in between.
func Stood(object *unstructured.Unstructured, settings contract.ReadySettings) contract.Stood {
	stood := contract.Stood{UID: string(object.GetUID()), Generation: object.GetGeneration(), Transition: transition(object, settings)}
	if stood.Generation == 0 {
		stood.Content = contentHash(object)
	}
	return stood
}

// transition returns when the condition last changed that the request names, or the
// condition Ready, or Available, which Kubernetes' own kinds have in its place.
func transition(object *unstructured.Unstructured, settings contract.ReadySettings) string {
	names := []string{"Ready", "Available"}
	if settings.Condition != "" && (settings.Kind == "" || settings.Kind == object.GetKind()) {
		names = []string{settings.Condition}
	}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, name := range names {
		for _, entry := range conditions {
			if condition, ok := entry.(map[string]any); ok && condition["type"] == name {
				at, _ := condition["lastTransitionTime"].(string)
				return at
			}
		}
	}
	return ""
}

// contentHash identifies what an object holds but for its status, and what the cluster
// keeps of it.
func contentHash(object *unstructured.Unstructured) string {
	content := maps.Clone(object.Object)
	delete(content, "status")
	content["metadata"] = map[string]any{"labels": object.GetLabels(), "annotations": object.GetAnnotations()}
	text, err := json.Marshal(content)
	if err != nil {
		return err.Error() // cannot be: it came as JSON
	}
	return hashOf(text)
}
