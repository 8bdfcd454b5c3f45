package request

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

const (
	maxLabelKey   = 63
	maxLabelValue = 256
)

// labels reads what belongs to the request as a whole.
func (p *parser) labels(given contract.Request) {
	key, problems := parseIdempotencyKey(given.IdempotencyKey, p.path.Child("idempotencyKey"))
	p.add(problems...)
	p.IdempotencyKey, p.Preview, p.Labels = key, given.Plan, map[string]string{}
	path := p.path.Child("labels")
	if len(given.Labels) > contract.MaxLabels {
		p.add(field.TooMany(path, len(given.Labels), contract.MaxLabels))
		return
	}
	for _, key := range slices.Sorted(maps.Keys(given.Labels)) {
		at := path.Key(shorten(key))
		switch value := given.Labels[key]; {
		case key == "":
			p.add(field.Invalid(at, "", "a label's key cannot be empty"))
		case len(key) > maxLabelKey:
			p.add(field.TooLong(at, "", maxLabelKey))
		case len(value) > maxLabelValue:
			p.add(field.TooLong(at, "", maxLabelValue))
		default:
			p.Labels[key] = value
		}
	}
}
