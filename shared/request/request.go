package request

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/selector"
	"github.com/crossapply/crossapply/shared/strictjson"
)

// Parsed is a request that passed every check, with the defaults filled in.
type Parsed struct {
	Operation contract.Operation
	// Resources are the objects to act on: none with the operation check on clusters
	// alone, and none yet where ResourceFrom says where they lie. [Parsed.ReadResources]
	// then adds them.
	Resources    []Resource
	ResourceFrom *contract.InputObject
	// Targets name and select clusters: none yet where TargetsFrom says where they lie.
	// [Parsed.ReadTargets] then adds them.
	Targets     []contract.TargetSelector
	TargetsFrom *contract.InputObject
	Exclude     []contract.Match
	Overrides   []Override
	Apply       contract.ApplySettings
	// Get, Delete and Check are nil with other operations.
	Get     *contract.GetOptions
	Delete  *contract.DeleteOptions
	Check   *contract.CheckOptions
	Ready   contract.ReadySettings
	Rollout Rollout
	// IdempotencyKey is empty where the request has none.
	IdempotencyKey string
	// Labels is never nil.
	Labels map[string]string
	// Preview is the request's plan: nothing is to be worked on.
	Preview bool
	// Lenient says that an override or a selector may match nothing: a retry has only
	// some of the targets that they were written for.
	Lenient bool
}

// Refs name the resources, in order.
func (p Parsed) Refs() []contract.ResourceRef {
	refs := make([]contract.ResourceRef, len(p.Resources))
	for i, resource := range p.Resources {
		refs[i] = resource.Ref
	}
	return refs
}

// Rules say by what each of the resources is judged, in words; there are none with an
// operation after which nothing is judged.
func (p Parsed) Rules() []string {
	rules := []string{}
	for _, resource := range p.Resources {
		if resource.Rule != nil {
			rules = append(rules, resource.Rule.String())
		}
	}
	return rules
}

// Bundle returns the resources and overrides as later steps read them. A resource that
// is only named is null in it.
func (p Parsed) Bundle() manifest.Bundle {
	bundle := manifest.Bundle{Resources: make([]manifest.Object, len(p.Resources))}
	for i, resource := range p.Resources {
		bundle.Resources[i] = resource.Object
	}
	for _, override := range p.Overrides {
		bundle.Overrides = append(bundle.Overrides, manifest.Override{Resource: override.Resource, Patch: override.Patch})
	}
	return bundle
}

// Matches returns every match in the request but those of its selectors: of what is
// excluded, of the overrides and of the waves.
func (p Parsed) Matches() []contract.Match {
	var matches []contract.Match
	matches = append(matches, p.Exclude...)
	for _, override := range p.Overrides {
		matches = append(matches, override.Match)
	}
	for _, wave := range p.Rollout.Waves {
		if wave.Match != nil {
			matches = append(matches, *wave.Match)
		}
	}
	return matches
}

// Search returns what has to be looked for to know the targets. regions are those that
// selectors look in which name none; units and configured are as in package selector.
func (p Parsed) Search(regions []string, units selector.Units, configured []string) selector.Search {
	return selector.Search{
		Selectors: selector.InRegions(p.Targets, regions),
		Exclude:   p.Exclude,
		Tags:      selector.UsesTags(p.Matches()...),
		Units:     units, Configured: configured,
	}
}

// Units returns the organizational units whose accounts have to be known.
func (p Parsed) Units() []string {
	matches := p.Matches()
	for _, s := range p.Targets {
		matches = append(matches, s.Match)
	}
	return selector.UnitsOf(matches...)
}

// Refuse says which of the resources the deployment does not allow.
func (p Parsed) Refuse(allowed allowlist.List) field.ErrorList {
	var problems field.ErrorList
	for _, resource := range p.Resources {
		if why := allowed.Refuse(resource.Ref); why != "" {
			problems = append(problems, field.Forbidden(resource.path, why))
		}
	}
	return problems
}

// Parse reads and checks a request, and nothing else: what lies in the run bucket is
// checked when it is read. scope is where the workflow can act; the paths of what is
// refused start at path, which may be nil. Every value that is wrong is reported; but
// where the request cannot be read into its type, only unknown fields and values of a
// wrong type are, since the other values are not there to check.
func Parse(raw json.RawMessage, scope regions.Scope, path *field.Path) (Parsed, field.ErrorList) {
	var given contract.Request
	if problems := strictjson.Unmarshal(raw, &given, path, "request"); len(problems) > 0 {
		return Parsed{}, problems
	}
	if given.Retry != nil {
		return Parsed{}, field.ErrorList{field.Forbidden(path.Child("retry"), "only the input of an execution can be a retry")}
	}
	if given.Rollback != nil {
		return Parsed{}, field.ErrorList{field.Forbidden(path.Child("rollback"), "only the input of an execution can be a rollback")}
	}
	p := parser{scope: scope, path: path}
	p.operation(given)
	p.options(given)
	p.Rollout = p.rollout(given.Rollout, path.Child("rollout"))
	p.resources(given)
	p.targets(given)
	p.overrides(given.Overrides, path.Child("overrides"))
	p.labels(given)
	p.combinations(given)
	if len(p.problems) > 0 {
		return Parsed{}, p.problems
	}
	return p.Parsed, nil
}

// parser parses a request: it fills Parsed, and gathers what is wrong.
type parser struct {
	Parsed
	scope    regions.Scope
	path     *field.Path
	problems field.ErrorList
	// known says that all resources are in Parsed, so that what refers to them can be
	// checked.
	known bool
}

func (p *parser) add(problems ...*field.Error) { p.problems = append(p.problems, problems...) }

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

func between(value, least, most int, path *field.Path) field.ErrorList {
	if value < least || value > most {
		return field.ErrorList{field.Invalid(path, value, fmt.Sprintf("must be between %d and %d", least, most))}
	}
	return nil
}

// oneOf returns a word of a closed list, the first of which is the default.
func oneOf[T ~string](p *parser, given T, path *field.Path, words ...T) T {
	if given == "" {
		return words[0]
	}
	for _, word := range words {
		if given == word {
			return given
		}
	}
	p.add(field.NotSupported(path, T(shorten(string(given))), words))
	return given
}

// shorten bounds what a message repeats of the request.
func shorten(value string) string { return fault.Shorten(value, 80) }
