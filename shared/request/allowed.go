package request

import (
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
)

// RefuseOperations says what the request would do that the deployment does not: allowed
// are the operations of its configuration, all of them where it lists none. path is the
// one that the request was parsed with.
func (p Parsed) RefuseOperations(allowed []contract.Operation, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	refused := func(name contract.Operation) bool { return len(allowed) > 0 && !slices.Contains(allowed, name) }
	switch {
	case p.Operation == operation.Rollback && refused(p.Operation):
		problems = append(problems, field.Forbidden(path.Child("rollback"), "the configuration of this deployment does not allow to roll back"))
	case p.Operation != "" && refused(p.Operation):
		problems = append(problems, field.NotSupported(path.Child("operation"), p.Operation, allowed))
	}
	if p.Rollout.OnFailure == contract.OnFailureRollback && refused(operation.Rollback) {
		problems = append(problems, field.Forbidden(path.Child("rollout", "onFailure"), "the configuration of this deployment does not allow to roll back"))
	}
	return problems
}
