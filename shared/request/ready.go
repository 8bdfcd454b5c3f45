package request

import (
	"cmp"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

const (
	defaultCondition      = "Ready"
	defaultTimeoutSeconds = 900
	maxTimeoutSeconds     = 86_400
)

// conditionType is the pattern of metav1.Condition's type.
var conditionType = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$`)

func parseReady(options *contract.ReadyOptions, path *field.Path) (contract.ReadySettings, field.ErrorList) {
	if options == nil {
		options = &contract.ReadyOptions{}
	}
	settings := contract.ReadySettings{
		Condition:      cmp.Or(options.Condition, defaultCondition),
		TimeoutSeconds: defaultTimeoutSeconds,
	}
	var problems field.ErrorList
	if !conditionType.MatchString(settings.Condition) {
		problems = append(problems, field.Invalid(path.Child("condition"), shorten(settings.Condition), "must be a condition type such as Ready"))
	}
	if options.TimeoutSeconds != nil {
		settings.TimeoutSeconds = *options.TimeoutSeconds
		problems = append(problems, between(settings.TimeoutSeconds, 1, maxTimeoutSeconds, path.Child("timeoutSeconds"))...)
	}
	return settings, problems
}
