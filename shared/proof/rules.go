package proof

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/readiness"
)

// Rules compiles the rule of an execution once for a sandbox, which serves one
// invocation at a time, and many targets of one execution in turn.
type Rules struct {
	execution string
	rule      *readiness.Rule
}

// Of returns the rule by which an execution judges its resource. It fails with
// [fault.RuleFailed] where an expression does not compile, which plan refuses.
func (r *Rules) Of(run contract.Run) (*readiness.Rule, error) {
	if r.execution == run.Execution {
		return r.rule, nil
	}
	rule, err := RuleOf(run)
	if err != nil {
		return nil, fault.Wrap(err, fault.RuleFailed, "%s: %v", run.Resource, err)
	}
	r.execution, r.rule = run.Execution, rule
	return rule, nil
}

// RuleOf compiles the rule by which an execution judges its resource.
func RuleOf(run contract.Run) (*readiness.Rule, error) {
	var expressions contract.ReadyExpressions
	if run.Ready.Expressions != nil {
		expressions = *run.Ready.Expressions
	}
	kind := schema.FromAPIVersionAndKind(run.Resource.APIVersion, run.Resource.Kind).GroupKind()
	return readiness.New(expressions, run.Ready.Condition, kind)
}
