package request

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/jsonpath"
	"github.com/crossapply/crossapply/shared/operation"
)

func (p *parser) operation(given contract.Request) {
	p.Operation = p.operationName(given.Operation, operation.Names(), p.path.Child("operation"))
}

func (p *parser) operationName(name contract.Operation, names []contract.Operation, path *field.Path) contract.Operation {
	name = cmp.Or(name, operation.Default)
	if !slices.Contains(names, name) {
		p.add(field.NotSupported(path, contract.Operation(shorten(string(name))), names))
	}
	return name
}

// traits returns the operation's line of the table; that of the default one where a
// mistake in its name has been found.
func (p *parser) traits() operation.Operation {
	of, err := operation.Of(p.Operation)
	if err != nil {
		of, _ = operation.Of(operation.Default)
	}
	return of
}

// options reads the options of the operations, each of which only one has.
func (p *parser) options(given contract.Request) {
	p.Apply = p.apply(given.Apply, p.path.Child("apply"))
	p.Ready = p.ready(given.Ready, p.path.Child("ready"))
	tunes := func(name contract.Operation, given bool) bool {
		if given && p.Operation != name {
			p.add(field.Forbidden(p.path.Child(string(name)), fmt.Sprintf("tunes the operation %s, and this is %s", name, shorten(string(p.Operation)))))
		}
		return p.Operation == name
	}
	if tunes(operation.Get, given.Get != nil) {
		p.Get = p.get(given.Get, p.path.Child("get"))
	}
	if tunes(operation.Delete, given.Delete != nil) {
		p.Delete = p.delete(given.Delete, p.path.Child("delete"))
	}
	if tunes(operation.Check, given.Check != nil) {
		p.Check = p.check(given.Check, p.path.Child("check"))
	}
}

// maxFieldBytes is the largest length of one of get.fields: they travel with every
// target.
const maxFieldBytes = 256

// fieldName is the form of a name in get.fields.
var fieldName = form{63, regexp.MustCompile(`^[A-Za-z0-9_]([-A-Za-z0-9_./]*[A-Za-z0-9_])?$`)}

func (p *parser) get(options *contract.GetOptions, path *field.Path) *contract.GetOptions {
	if options == nil {
		return &contract.GetOptions{}
	}
	path = path.Child("fields")
	if len(options.Fields) > contract.MaxGetFields {
		p.add(field.TooMany(path, len(options.Fields), contract.MaxGetFields))
		return options
	}
	for _, name := range slices.Sorted(maps.Keys(options.Fields)) {
		text := options.Fields[name]
		at := path.Key(shorten(name))
		if !fieldName.MatchString(name) {
			p.add(field.Invalid(at, shorten(name), "must be a name of up to 63 letters, digits and any of -_./"))
		}
		if len(text) > maxFieldBytes {
			p.add(field.TooLong(at, "", maxFieldBytes))
		} else if _, err := jsonpath.Parse(text); err != nil {
			p.add(field.Invalid(at, shorten(text), err.Error()))
		}
	}
	return options
}

// uid is the form of an object's uid, which is a text without a meaning.
var uid = form{128, regexp.MustCompile(`^[-A-Za-z0-9]+$`)}

func (p *parser) delete(options *contract.DeleteOptions, path *field.Path) *contract.DeleteOptions {
	if options == nil {
		options = &contract.DeleteOptions{}
	}
	if options.UID != "" && !uid.MatchString(options.UID) {
		p.add(field.Invalid(path.Child("uid"), shorten(options.UID), "must be an object's uid"))
	}
	return &contract.DeleteOptions{
		Propagation: oneOf(p, options.Propagation, path.Child("propagation"), contract.Propagation(metav1.DeletePropagationBackground),
			contract.Propagation(metav1.DeletePropagationForeground), contract.Propagation(metav1.DeletePropagationOrphan)),
		UID:    options.UID,
		Absent: oneOf(p, options.Absent, path.Child("absent"), contract.AbsentSucceed, contract.AbsentFail),
	}
}

func (p *parser) check(options *contract.CheckOptions, path *field.Path) *contract.CheckOptions {
	if options == nil {
		options = &contract.CheckOptions{}
	}
	others := slices.DeleteFunc(operation.Names(), func(name contract.Operation) bool { return name == operation.Check })
	return &contract.CheckOptions{Operation: p.operationName(options.Operation, others, path.Child("operation"))}
}

// combinations refuses what cannot work together.
func (p *parser) combinations(given contract.Request) {
	of, rollout := p.traits(), p.path.Child("rollout")
	if of.ByName && p.Apply.DryRun {
		p.add(field.Forbidden(p.path.Child("apply", "dryRun"), fmt.Sprintf("the operation %s has no dry run", p.Operation)))
	}
	if p.Rollout.OnFailure == contract.OnFailureRollback {
		at := rollout.Child("onFailure")
		switch {
		case of.Reads:
			p.add(field.Forbidden(at, fmt.Sprintf("the operation %s changes nothing that could be rolled back", p.Operation)))
		case p.Apply.DryRun:
			p.add(field.Forbidden(at, "a dry run changes nothing that could be rolled back"))
		}
	}
	why := ""
	switch {
	case of.ByName:
		why = fmt.Sprintf("the operation %s leaves nothing whose Ready could be checked after a bake time", p.Operation)
	case !p.Ready.Wait:
		why = "ready.wait is false: what is not waited for cannot be checked after a bake time"
	}
	if why == "" || given.Rollout == nil {
		return
	}
	if given.Rollout.BakeSeconds > 0 {
		p.add(field.Forbidden(rollout.Child("bakeSeconds"), why))
	}
	for i, wave := range given.Rollout.Waves {
		if wave.BakeSeconds != nil && *wave.BakeSeconds > 0 {
			p.add(field.Forbidden(rollout.Child("waves").Index(i).Child("bakeSeconds"), why))
		}
	}
}
