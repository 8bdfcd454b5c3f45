package request

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/readiness"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/strictjson"
)

// Parsed is a request that passed every check, with the defaults filled in.
type Parsed struct {
	Operation contract.Operation
	// Resource is the object to apply, without what only a cluster writes.
	Resource    map[string]any
	ResourceRef contract.ResourceRef
	Targets     []contract.Target
	Apply       contract.ApplySettings
	Ready       contract.ReadySettings
	// Rule is what judges whether the resource is Ready.
	Rule    *readiness.Rule
	Rollout Rollout
	// IdempotencyKey is empty where the request has none.
	IdempotencyKey string
}

// Parse reads and checks a request. scope is where the workflow can act; the
// paths of what is refused start at path, which may be nil. Every value that is wrong is reported; but where the request cannot be
// read into its type, only unknown fields and values of a wrong type are, since
// the other values are not there to check.
func Parse(raw json.RawMessage, scope regions.Scope, path *field.Path) (Parsed, field.ErrorList) {
	var given contract.Request
	if problems := strictjson.Unmarshal(raw, &given, path, "request"); len(problems) > 0 {
		return Parsed{}, problems
	}
	if given.Retry != nil {
		return Parsed{}, field.ErrorList{field.Forbidden(path.Child("retry"), "only the input of an execution can be a retry")}
	}
	problems := unsupported(given, path)
	add := func(more field.ErrorList) { problems = append(problems, more...) }

	var parsed Parsed
	var more field.ErrorList
	parsed.Operation, more = parseOperation(given.Operation, path.Child("operation"))
	add(more)
	parsed.Resource, parsed.ResourceRef, more = parseResource(given.Resource, path.Child("resource"))
	add(more)
	parsed.Targets, more = parseTargets(given.Targets, scope, path.Child("targets"))
	add(more)
	parsed.Apply, more = parseApply(given.Apply, path.Child("apply"))
	add(more)
	parsed.Ready, more = parseReady(given.Ready, path.Child("ready"))
	if len(more) == 0 {
		parsed.Rule, more = parseRule(parsed.Ready, parsed.ResourceRef, path.Child("ready"))
	}
	add(more)
	parsed.Rollout, more = parseRollout(given.Rollout, len(parsed.Targets), path.Child("rollout"))
	add(more)
	parsed.IdempotencyKey, more = parseIdempotencyKey(given.IdempotencyKey, path.Child("idempotencyKey"))
	add(more)
	if len(problems) > 0 {
		return Parsed{}, problems
	}
	return parsed, nil
}

// maxProblems bounds a refusal's message: ten thousand wrong targets are not
// listed.
const maxProblems = 20

// Refusal is the error of an execution whose request is refused: a
// [fault.InvalidRequest] that lists the problems.
func Refusal(problems field.ErrorList) error {
	return refusal("the request is invalid", problems)
}

func refusal(what string, problems field.ErrorList) error {
	texts := make([]string, 0, maxProblems+1)
	for i, problem := range problems {
		if i == maxProblems {
			texts = append(texts, fmt.Sprintf("and %d more", len(problems)-i))
			break
		}
		texts = append(texts, problem.Error())
	}
	return fault.New(fault.InvalidRequest, "%s: %s", what, strings.Join(texts, "; "))
}

// unsupported refuses fields that the contract has but that have no effect yet.
func unsupported(r contract.Request, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	refuse := func(given bool, at *field.Path, instead string) {
		if given {
			problems = append(problems, field.Forbidden(at, "not supported yet: "+instead))
		}
	}
	refuse(len(r.Overrides) > 0, path.Child("overrides"), "start one execution per variant of the resource")
	if r.Rollout != nil {
		refuse(r.Rollout.Waves != nil, path.Child("rollout", "waves"), "start one execution per wave")
		refuse(r.Rollout.BakeSeconds != 0, path.Child("rollout", "bakeSeconds"), "start one execution per wave")
	}
	for i, t := range r.Targets {
		target := path.Child("targets").Index(i)
		const instead = "name account, region and cluster"
		refuse(t.Accounts != nil, target.Child("accounts"), instead)
		refuse(t.Regions != nil, target.Child("regions"), instead)
	}
	return problems
}

func between(value, least, most int, path *field.Path) field.ErrorList {
	if value < least || value > most {
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be between %d and %d", least, most))}
	}
	return nil
}

// shorten bounds what a message repeats of the request.
func shorten(value string) string { return fault.Shorten(value, 80) }
