package request

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
)

func parseOperation(name contract.Operation, path *field.Path) (contract.Operation, field.ErrorList) {
	name = cmp.Or(name, operation.Default)
	if !slices.Contains(operation.Names(), name) {
		return name, field.ErrorList{field.NotSupported(path, contract.Operation(shorten(string(name))), operation.Names())}
	}
	return name, nil
}
