package request

import (
	"errors"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/readiness"
)

const (
	defaultTimeoutSeconds      = 900
	maxTimeoutSeconds          = 86_400
	defaultFailureGraceSeconds = 30
	defaultSettleSeconds       = 10
	// maxStandSeconds is how long a status can be asked to stand.
	maxStandSeconds = 3_600
)

// conditionType is the pattern of metav1.Condition's type.
var conditionType = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$`)

// ready reads the options of the wait. Those that have no effect, because
// nothing is waited for (wait false, or a dry run), are checked like others, and
// are no mistake: wait and dryRun are switches, to be set in a request that has
// them all.
func (p *parser) ready(options *contract.ReadyOptions, path *field.Path) contract.ReadySettings {
	if options == nil {
		options = &contract.ReadyOptions{}
	}
	seconds := func(given *int, otherwise, least, most int, name string) int {
		return p.number(given, otherwise, least, most, path.Child(name))
	}
	settings := contract.ReadySettings{
		Wait:                options.Wait == nil || *options.Wait,
		Kind:                options.Kind,
		Condition:           options.Condition,
		Expressions:         options.Expressions,
		TimeoutSeconds:      seconds(options.TimeoutSeconds, defaultTimeoutSeconds, 1, maxTimeoutSeconds, "timeoutSeconds"),
		FailureGraceSeconds: seconds(options.FailureGraceSeconds, defaultFailureGraceSeconds, 0, maxStandSeconds, "failureGraceSeconds"),
		SettleSeconds:       seconds(options.SettleSeconds, defaultSettleSeconds, 0, maxStandSeconds, "settleSeconds"),
		RequireGeneration:   options.RequireGeneration,
	}
	if options.Condition != "" && !conditionType.MatchString(options.Condition) {
		p.add(field.Invalid(path.Child("condition"), shorten(options.Condition), "must be a condition type such as Ready"))
	}
	if options.Expressions != nil {
		if options.Condition != "" {
			p.add(field.Forbidden(path.Child("condition"), "ready.expressions judge already: give one of the two"))
		}
		p.add(checkExpressions(*options.Expressions, path.Child("expressions"))...)
	}
	return settings
}

// number reads a whole number that need not be given.
func (p *parser) number(given *int, otherwise, least, most int, path *field.Path) int {
	if given == nil {
		return otherwise
	}
	p.add(between(*given, least, most, path)...)
	return *given
}

// compile returns what judges an object of a resource's kind.
func compile(ready contract.ReadySettings, resource contract.ResourceRef, path *field.Path) (*readiness.Rule, field.ErrorList) {
	rule, err := readiness.Of(ready, resource)
	var wrong *readiness.ExpressionError
	switch {
	case errors.As(err, &wrong):
		return nil, field.ErrorList{field.Invalid(path.Child("expressions", wrong.Name), field.OmitValueType{}, fault.Shorten(wrong.Message, 500))}
	case err != nil:
		return nil, field.ErrorList{field.InternalError(path, err)}
	}
	return rule, nil
}

func checkExpressions(expressions contract.ReadyExpressions, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	if expressions.Current == "" {
		problems = append(problems, field.Required(path.Child("current"), "say when the object is Ready"))
	}
	for _, e := range []struct{ name, text string }{
		{"current", expressions.Current}, {"failed", expressions.Failed}, {"inProgress", expressions.InProgress},
	} {
		if len(e.text) > contract.MaxExpressionBytes {
			problems = append(problems, field.TooLong(path.Child(e.name), "", contract.MaxExpressionBytes))
		}
	}
	return problems
}
