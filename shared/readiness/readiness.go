package readiness

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/health"
)

func progressing(message string) health.Verdict {
	return health.Verdict{State: health.Progressing, Message: message}
}

// Rule is how objects of one kind are judged. It may be used by several
// goroutines at once.
type Rule struct {
	name string
	// judge judges an object that has a status.
	judge judge
	// judgeSilent judges an object that has none; hasStatus says whether the kind
	// has a status subresource.
	judgeSilent func(object map[string]any, hasStatus bool) (health.Verdict, error)
}

// judge says what an object says of itself, given the generation that was applied.
type judge func(object map[string]any, generation int64) (health.Verdict, error)

// New compiles the rule for a kind. expressions are the request's CEL expressions
// (the zero value: none) and condition the type of the condition that the request
// names ("": none). The error is an [*ExpressionError], since the rest is fixed.
func New(expressions contract.ReadyExpressions, condition string, kind schema.GroupKind) (*Rule, error) {
	switch {
	case expressions != contract.ReadyExpressions{}:
		return expressionsRule(expressions)
	case condition != "":
		return conditionRule(waitForStatus, condition), nil
	}
	if check, ok := findCheck(kind); ok {
		return check.rule()
	}
	if names := conditionsFor(kind); names != nil {
		return conditionRule(waitForStatus, names...), nil
	}
	if of, ok := kinds[kind]; ok {
		return kindRule(kind, of), nil
	}
	return conditionRule(readyWhereNoStatusComes, "Ready"), nil
}

// String says what judges, for messages and logs: "Argo CD's health check for
// argoproj.io/Rollout".
func (r *Rule) String() string { return r.name }

// Judge says what the object says of itself. generation is the
// metadata.generation that the apply returned, and hasStatus says whether the kind
// has a status subresource. The error says that the rule itself failed, which
// another look at the object would not mend: a script or an expression that
// cannot be evaluated.
func (r *Rule) Judge(object *unstructured.Unstructured, generation int64, hasStatus bool) (health.Verdict, error) {
	if deleted, _, _ := unstructured.NestedString(object.Object, "metadata", "deletionTimestamp"); deleted != "" {
		return progressing("the object is being deleted, since " + deleted), nil
	}
	if statusOf(object.Object) == nil {
		return r.judgeSilent(object.Object, hasStatus)
	}
	return r.judge(object.Object, generation)
}

// statusOf returns the object's status, or nil where its operator has not written
// one. Flux's kinds have {observedGeneration: -1} by default, which is as empty.
func statusOf(object map[string]any) map[string]any {
	status, _ := object["status"].(map[string]any)
	written := len(status)
	if observed := generationIn(status); observed != nil && *observed < 0 {
		written--
	}
	if written == 0 {
		return nil
	}
	return status
}

// waitForStatus is for rules that can say nothing of an object without a status.
// Whoever names a condition says that the kind has one, so it waits also where the
// kind has no status subresource.
func waitForStatus(map[string]any, bool) (health.Verdict, error) {
	return progressing("the operator has not written a status yet"), nil
}

// readyWhereNoStatusComes is for kinds of which no more is known than whether they
// have a status subresource.
func readyWhereNoStatusComes(object map[string]any, hasStatus bool) (health.Verdict, error) {
	if hasStatus {
		return waitForStatus(object, hasStatus)
	}
	return health.Verdict{State: health.Ready, Message: "the kind has no status"}, nil
}

// nameOf returns "group/Kind", or "Kind" for the core group.
func nameOf(kind schema.GroupKind) string {
	if kind.Group == "" {
		return kind.Kind
	}
	return kind.Group + "/" + kind.Kind
}
