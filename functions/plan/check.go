package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// plan is a request in order, with the defaults filled in.
type plan struct {
	operation      contract.Operation
	resource       map[string]any
	ref            contract.ResourceRef
	targets        []contract.Target
	apply          contract.ApplySettings
	ready          contract.ReadySettings
	maxConcurrency int
	maxFailures    int
	// idempotencyKey is empty where the request has none.
	idempotencyKey string
}

// Defaults of a request.
const (
	defaultFieldManager   = "crossapply"
	defaultCondition      = "Ready"
	defaultTimeoutSeconds = 900
	defaultMaxConcurrency = 50
)

// check reads and validates a request. Every value that is wrong is reported at
// once, with its path; but where the request cannot be read into its type, only
// what is unknown or of a wrong type is, since the values are not there to check.
func check(raw json.RawMessage, partition string) (plan, error) {
	request, problems := decode(raw)
	if len(problems) > 0 {
		return plan{}, refuse(problems)
	}
	var p plan
	problems = append(problems, unsupported(request)...)
	p.operation = contract.OperationApply
	var more field.ErrorList
	p.resource, p.ref, more = checkResource(request.Resource, field.NewPath("resource"))
	problems = append(problems, more...)
	p.targets, more = checkTargets(request.Targets, partition, field.NewPath("targets"))
	problems = append(problems, more...)
	p.apply, more = checkApply(request.Apply, field.NewPath("apply"))
	problems = append(problems, more...)
	p.ready, more = checkReady(request.Ready, field.NewPath("ready"))
	problems = append(problems, more...)
	p.maxConcurrency, p.maxFailures, more = checkRollout(request.Rollout, len(p.targets), field.NewPath("rollout"))
	problems = append(problems, more...)
	p.idempotencyKey, more = checkIdempotencyKey(request.IdempotencyKey, field.NewPath("idempotencyKey"))
	problems = append(problems, more...)
	if len(problems) > 0 {
		return plan{}, refuse(problems)
	}
	return p, nil
}

// maxProblems bounds the message: ten thousand wrong targets are not listed.
const maxProblems = 20

func refuse(problems field.ErrorList) error {
	texts := make([]string, 0, maxProblems)
	for i, problem := range problems {
		if i == maxProblems {
			texts = append(texts, fmt.Sprintf("and %d more", len(problems)-i))
			break
		}
		texts = append(texts, problem.Error())
	}
	return fault.New(fault.InvalidRequest, "the request is not in order: %s", strings.Join(texts, "; "))
}

// decode reads a request strictly: names are case-sensitive, and an unknown or
// repeated field is an error.
func decode(raw json.RawMessage) (contract.Request, field.ErrorList) {
	var request contract.Request
	if !strings.HasPrefix(strings.TrimSpace(string(raw)), "{") {
		return request, field.ErrorList{field.Invalid(field.NewPath("request"), field.OmitValueType{}, "the request must be a JSON object")}
	}
	strict, err := kjson.UnmarshalStrict(raw, &request)
	var problems field.ErrorList
	for _, e := range strict {
		problems = append(problems, strictProblem(e))
	}
	if err != nil {
		problems = append(problems, decodeProblems(raw, err)...)
	}
	return request, problems
}

func strictProblem(err error) *field.Error {
	var at kjson.FieldError
	if !errors.As(err, &at) {
		return field.Invalid(field.NewPath("request"), field.OmitValueType{}, err.Error())
	}
	what := "unknown field"
	if strings.HasPrefix(err.Error(), "duplicate") {
		what = "given twice"
	}
	return field.Invalid(field.NewPath(shorten(at.FieldPath())), field.OmitValueType{}, what)
}

// decodeProblems says where a value is of the wrong type. The decoder stops at
// the first one and does not say at which index of a list; among up to ten
// thousand targets that matters, so they are decoded one by one.
func decodeProblems(raw json.RawMessage, err error) field.ErrorList {
	var wrongType *json.UnmarshalTypeError
	if !errors.As(err, &wrongType) || wrongType.Field == "" {
		return field.ErrorList{field.Invalid(field.NewPath("request"), field.OmitValueType{}, "not JSON: "+err.Error())}
	}
	if !strings.HasPrefix(wrongType.Field, "targets.") {
		return field.ErrorList{typeProblem(field.NewPath(wrongType.Field), wrongType)}
	}
	var each struct{ Targets []json.RawMessage }
	if err := json.Unmarshal(raw, &each); err != nil {
		return field.ErrorList{typeProblem(field.NewPath(wrongType.Field), wrongType)}
	}
	var problems field.ErrorList
	for i, target := range each.Targets {
		err := json.Unmarshal(target, &contract.TargetSelector{})
		if errors.As(err, &wrongType) {
			path := field.NewPath("targets").Index(i)
			if wrongType.Field != "" {
				path = path.Child(wrongType.Field)
			}
			problems = append(problems, typeProblem(path, wrongType))
		}
	}
	return problems
}

func typeProblem(path *field.Path, err *json.UnmarshalTypeError) *field.Error {
	return field.Invalid(path, field.OmitValueType{},
		fmt.Sprintf("must be of type %s, not %s", jsonTypeOf(err.Type.Kind().String()), err.Value))
}

func jsonTypeOf(kind string) string {
	switch kind {
	case "struct", "map", "ptr":
		return "object"
	case "slice", "array":
		return "list"
	case "int", "int32", "int64":
		return "whole number"
	}
	return kind
}

// unsupported refuses what has its place in the contract but no effect yet: a
// field that is silently ignored would be worse than none.
func unsupported(r contract.Request) field.ErrorList {
	var problems field.ErrorList
	refuse := func(given bool, path *field.Path, instead string) {
		if given {
			problems = append(problems, field.Forbidden(path, "not supported yet: "+instead))
		}
	}
	refuse(r.Operation != "" && r.Operation != contract.OperationApply, field.NewPath("operation"), `only "apply" is`)
	refuse(len(r.Overrides) > 0, field.NewPath("overrides"), "start one execution per variant of the resource")
	refuse(r.Retry != nil, field.NewPath("retry"), "start an execution with the targets that failed")
	if r.Ready != nil {
		refuse(r.Ready.Expressions != nil, field.NewPath("ready", "expressions"), "use ready.condition")
	}
	if r.Rollout != nil {
		refuse(r.Rollout.Waves != nil, field.NewPath("rollout", "waves"), "start one execution per wave")
		refuse(r.Rollout.BakeSeconds != 0, field.NewPath("rollout", "bakeSeconds"), "start one execution per wave")
	}
	for i, t := range r.Targets {
		path := field.NewPath("targets").Index(i)
		const instead = "name account, region and cluster"
		refuse(t.Accounts != nil, path.Child("accounts"), instead)
		refuse(t.Regions != nil, path.Child("regions"), instead)
		refuse(t.ClusterTags != nil, path.Child("clusterTags"), instead)
	}
	return problems
}

func checkApply(options *contract.ApplyOptions, path *field.Path) (contract.ApplySettings, field.ErrorList) {
	settings := contract.ApplySettings{FieldManager: defaultFieldManager}
	if options == nil {
		return settings, nil
	}
	settings.Force, settings.DryRun = options.Force, options.DryRun
	if options.FieldManager != "" {
		settings.FieldManager = options.FieldManager
	}
	if !fieldManager.MatchString(settings.FieldManager) {
		return settings, field.ErrorList{field.Invalid(path.Child("fieldManager"), shorten(settings.FieldManager), "must be 1 to 128 printable characters")}
	}
	return settings, nil
}

func checkReady(options *contract.ReadyOptions, path *field.Path) (contract.ReadySettings, field.ErrorList) {
	settings := contract.ReadySettings{Condition: defaultCondition, TimeoutSeconds: defaultTimeoutSeconds}
	if options == nil {
		return settings, nil
	}
	var problems field.ErrorList
	if options.Condition != "" {
		settings.Condition = options.Condition
	}
	if !conditionType.MatchString(settings.Condition) {
		problems = append(problems, field.Invalid(path.Child("condition"), shorten(settings.Condition), "must be a condition type such as Ready"))
	}
	if options.TimeoutSeconds != nil {
		settings.TimeoutSeconds = *options.TimeoutSeconds
		problems = append(problems, between(settings.TimeoutSeconds, 1, 86_400, path.Child("timeoutSeconds"))...)
	}
	return settings, problems
}

func checkRollout(options *contract.RolloutOptions, total int, path *field.Path) (maxConcurrency, maxFailures int, problems field.ErrorList) {
	maxConcurrency = defaultMaxConcurrency
	if options == nil {
		return maxConcurrency, 0, nil
	}
	if options.MaxConcurrency != nil {
		maxConcurrency = *options.MaxConcurrency
		problems = append(problems, between(maxConcurrency, 1, 1_000, path.Child("maxConcurrency"))...)
	}
	if options.MaxFailures != nil {
		var ok bool
		if maxFailures, ok = countOf(options.MaxFailures, total); !ok {
			problems = append(problems, field.Invalid(path.Child("maxFailures"), field.OmitValueType{},
				`must be a count such as 3, or a share of the targets such as "10%"`))
		}
	}
	return maxConcurrency, maxFailures, problems
}

// countOf reads a failure budget: a count, or a percentage of total rounded
// down. A count larger than the fleet means all of it.
func countOf(raw json.RawMessage, total int) (int, bool) {
	var count int
	if err := json.Unmarshal(raw, &count); err == nil {
		return min(count, total), count >= 0
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return 0, false
	}
	digits, isShare := strings.CutSuffix(text, "%")
	share, err := strconv.ParseUint(digits, 10, 8)
	if !isShare || err != nil || share > 100 {
		return 0, false
	}
	return total * int(share) / 100, true
}

func checkIdempotencyKey(key *string, path *field.Path) (string, field.ErrorList) {
	switch {
	case key == nil:
		return "", nil
	case *key == "":
		return "", field.ErrorList{field.Required(path, "leave it out, or give it a value")}
	case len(*key) > contract.MaxIdempotencyKey:
		return "", field.ErrorList{field.TooLong(path, "", contract.MaxIdempotencyKey)}
	}
	return *key, nil
}

func between(value, least, most int, path *field.Path) field.ErrorList {
	if value < least || value > most {
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be between %d and %d", least, most))}
	}
	return nil
}

var (
	// https://kubernetes.io/docs/reference/using-api/api-concepts/ (fieldManager)
	fieldManager = regexp.MustCompile(`^[[:print:]]{1,128}$`)
	// The pattern of metav1.Condition's type.
	conditionType = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$`)
)

// shorten bounds what a message repeats of the request.
func shorten(value string) string { return fault.Shorten(value, 80) }
