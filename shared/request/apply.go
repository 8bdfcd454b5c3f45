package request

import (
	"cmp"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

const defaultFieldManager = "crossapply"

// https://kubernetes.io/docs/reference/using-api/api-concepts/ (fieldManager)
var fieldManager = regexp.MustCompile(`^[[:print:]]{1,128}$`)

func parseApply(options *contract.ApplyOptions, path *field.Path) (contract.ApplySettings, field.ErrorList) {
	if options == nil {
		options = &contract.ApplyOptions{}
	}
	settings := contract.ApplySettings{
		FieldManager: cmp.Or(options.FieldManager, defaultFieldManager),
		Force:        options.Force,
		DryRun:       options.DryRun,
	}
	if !fieldManager.MatchString(settings.FieldManager) {
		return settings, field.ErrorList{field.Invalid(path.Child("fieldManager"), shorten(settings.FieldManager), "must be 1 to 128 printable characters")}
	}
	return settings, nil
}
