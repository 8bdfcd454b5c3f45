package request

import (
	"cmp"
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

const defaultFieldManager = "crossapply"

// fieldManager is what a cluster takes as the name of a field manager.
// https://kubernetes.io/docs/reference/using-api/api-concepts/ (fieldManager)
var fieldManager = form{128, regexp.MustCompile(`^[[:print:]]+$`)}

const mustBeManager = "must be 1 to 128 printable characters"

func (p *parser) apply(options *contract.ApplyOptions, path *field.Path) contract.ApplySettings {
	if options == nil {
		options = &contract.ApplyOptions{}
	}
	settings := contract.ApplySettings{
		FieldManager: cmp.Or(options.FieldManager, defaultFieldManager),
		Force:        options.Force,
		Adopt:        options.Adopt,
		Removals:     oneOf(p, options.Removals, path.Child("removals"), contract.RemovalsAllow, contract.RemovalsRefuse),
		DryRun:       options.DryRun,
	}
	p.add(checkAdopt(settings, path.Child("adopt"))...)
	if !fieldManager.MatchString(settings.FieldManager) {
		p.add(field.Invalid(path.Child("fieldManager"), shorten(settings.FieldManager), mustBeManager))
	}
	return settings
}

func checkAdopt(settings contract.ApplySettings, path *field.Path) field.ErrorList {
	if len(settings.Adopt) > contract.MaxAdopt {
		return field.ErrorList{field.TooMany(path, len(settings.Adopt), contract.MaxAdopt)}
	}
	var problems field.ErrorList
	if settings.Force && len(settings.Adopt) > 0 {
		problems = append(problems, field.Forbidden(path, "apply.force takes fields over from every manager: give one of the two"))
	}
	seen := make(map[string]*field.Path, len(settings.Adopt))
	for i, manager := range settings.Adopt {
		at := path.Index(i)
		first, twice := seen[manager]
		switch {
		case !fieldManager.MatchString(manager):
			problems = append(problems, field.Invalid(at, shorten(manager), mustBeManager))
		case manager == settings.FieldManager:
			problems = append(problems, field.Invalid(at, manager, "is the field manager of this request itself"))
		case twice:
			problems = append(problems, field.Invalid(at, manager, fmt.Sprintf("repeats %s", first)))
		}
		seen[manager] = at
	}
	return problems
}
