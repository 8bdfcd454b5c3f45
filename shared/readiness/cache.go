package readiness

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Cache holds the rules of the execution that a sandbox worked for last: a sandbox
// serves one invocation at a time, and many targets of one execution in turn.
type Cache struct {
	execution string
	rules     map[schema.GroupKind]*Rule
}

// Of returns the rule by which an execution judges one of its resources. It fails with
// [fault.RuleFailed] where an expression does not compile, which plan refuses.
func (c *Cache) Of(run contract.Run, resource contract.ResourceRef) (*Rule, error) {
	if c.execution != run.Execution {
		c.execution, c.rules = run.Execution, map[schema.GroupKind]*Rule{}
	}
	kind := kindOf(resource)
	if rule, ok := c.rules[kind]; ok {
		return rule, nil
	}
	rule, err := Of(run.Ready, resource)
	if err != nil {
		return nil, fault.Wrap(err, fault.RuleFailed, "%s: %v", resource, err)
	}
	c.rules[kind] = rule
	return rule, nil
}

// Of compiles the rule by which a request judges one of its resources. The error is an
// [*ExpressionError].
func Of(ready contract.ReadySettings, resource contract.ResourceRef) (*Rule, error) {
	var expressions contract.ReadyExpressions
	condition := ""
	if ready.Kind == "" || ready.Kind == resource.Kind {
		condition = ready.Condition
		if ready.Expressions != nil {
			expressions = *ready.Expressions
		}
	}
	return New(expressions, condition, kindOf(resource))
}

func kindOf(resource contract.ResourceRef) schema.GroupKind {
	return schema.FromAPIVersionAndKind(resource.APIVersion, resource.Kind).GroupKind()
}
