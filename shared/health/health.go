// Package health is the words in which a rule says how an object is. It is apart
// from package readiness, which has the rules, because their libraries weigh
// megabytes: who only needs the words does without.
package health

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// State is what an object says of itself.
type State string

// The states.
const (
	// Ready: it is in the state that was asked for.
	Ready State = "Ready"
	// Progressing: it may still become Ready.
	Progressing State = "Progressing"
	// Failed: it says that it will not become Ready.
	Failed State = "Failed"
)

// Verdict is the state of an object, and why.
type Verdict struct {
	State State
	// Message is one sentence for a person.
	Message string
	// Observed is the generation that the judged status says it speaks of; nil
	// where it does not say.
	Observed *int64
}

// Rule judges objects of one kind; *readiness.Rule is one. It may be used by
// several goroutines at once.
type Rule interface {
	// Judge says what the object says of itself. generation is the
	// metadata.generation that the apply returned, and hasStatus says whether the
	// kind has a status subresource. The error says that the rule itself failed,
	// which another look at the object would not mend: a script or an expression
	// that cannot be evaluated.
	Judge(object *unstructured.Unstructured, generation int64, hasStatus bool) (Verdict, error)
	// String says what judges, for messages and logs: "Argo CD's health check for
	// argoproj.io/Rollout".
	String() string
}
