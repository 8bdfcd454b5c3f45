package operator

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Behavior is how the operator treats a Topic.
type Behavior string

const (
	// Converge reports Ready=False with reason Progressing, and Ready=True when the
	// delay is over. It is the default.
	Converge Behavior = "Converge"
	// Silent never writes a status.
	Silent Behavior = "Silent"
	// Stalled reports Stalled=True with a reason and a message when the delay is over,
	// and Ready=False.
	Stalled Behavior = "Stalled"
	// Late writes nothing before the delay is over, so that an earlier generation's
	// Ready=True stands, stale, until then.
	Late Behavior = "Late"
	// Stale treats the first generation as Converge does and never looks at a later
	// one: the Ready=True of the first stays for ever.
	Stale Behavior = "Stale"
)

// BehaviorAnnotation on a Topic names its Behavior.
const BehaviorAnnotation = "messaging.example.com/behavior"

// AnnotatedBehavior is the Behavior that the Topic's annotation names, and Converge
// without one.
func AnnotatedBehavior(topic *unstructured.Unstructured) (Behavior, error) {
	switch b := Behavior(topic.GetAnnotations()[BehaviorAnnotation]); b {
	case "":
		return Converge, nil
	case Converge, Silent, Stalled, Late, Stale:
		return b, nil
	default:
		return "", fmt.Errorf("annotation %s: unknown behavior %q", BehaviorAnnotation, b)
	}
}

// After is a delay that is the same for every Topic.
func After(d time.Duration) func(*unstructured.Unstructured) time.Duration {
	return func(*unstructured.Unstructured) time.Duration { return d }
}
