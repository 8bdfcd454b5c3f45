package readiness

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Cache holds the rule of the execution that a sandbox worked for last: a sandbox
// serves one invocation at a time, and many targets of one execution in turn.
type Cache struct {
	execution string
	rule      *Rule
}

// Of returns the rule by which an execution judges its resource. It fails with
// [fault.RuleFailed] where an expression does not compile, which plan refuses.
func (c *Cache) Of(run contract.Run) (*Rule, error) {
	if c.execution == run.Execution {
		return c.rule, nil
	}
	rule, err := Of(run.Ready, run.Resource)
	if err != nil {
		return nil, fault.Wrap(err, fault.RuleFailed, "%s: %v", run.Resource, err)
	}
	c.execution, c.rule = run.Execution, rule
	return rule, nil
}

// Of compiles the rule by which a request judges its resource. The error is an
// [*ExpressionError].
func Of(ready contract.ReadySettings, resource contract.ResourceRef) (*Rule, error) {
	var expressions contract.ReadyExpressions
	if ready.Expressions != nil {
		expressions = *ready.Expressions
	}
	return New(expressions, ready.Condition, schema.FromAPIVersionAndKind(resource.APIVersion, resource.Kind).GroupKind())
}
