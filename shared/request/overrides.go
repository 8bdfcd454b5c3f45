package request

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/similar"
)

// Override is [contract.Override] for the resource that it is about.
type Override struct {
	// Match and Waves say which targets have it: those that the match fits, and which
	// are in a wave of one of these names, where there are any.
	Match contract.Match
	Waves []string
	// Resource is the index of the resource.
	Resource int
	// Patch is what it changes there.
	Patch manifest.Object

	name *contract.ResourceName
}

func (p *parser) overrides(overrides []contract.Override, path *field.Path) {
	switch {
	case len(overrides) == 0:
		return
	case p.Operation == operation.Get || p.Operation == operation.Delete:
		p.add(field.Forbidden(path, fmt.Sprintf("the operation %s uses nothing of an object but its name", p.Operation)))
		return
	case len(overrides) > contract.MaxSelectors:
		p.add(field.TooMany(path, len(overrides), contract.MaxSelectors))
		return
	}
	for i, override := range overrides {
		at := path.Index(i)
		p.match(override.Match, false, at.Child("match"))
		p.waveNames(override.Waves, at.Child("waves"))
		p.Overrides = append(p.Overrides, Override{
			Match: override.Match, Waves: override.Waves, Patch: p.patch(override.Patch, at.Child("patch")), name: override.Resource,
		})
	}
	if p.known {
		p.bind(path)
	}
}

// waveNames checks that there are the waves that an override names.
func (p *parser) waveNames(names []string, path *field.Path) {
	if names != nil && len(names) == 0 {
		p.add(field.Required(path, "leave it out, or name a wave"))
	}
	var there []string
	for _, wave := range p.Rollout.Waves {
		there = append(there, wave.Name)
	}
	if p.Rollout.Unmatched == contract.UnmatchedLast {
		there = append(there, p.Rollout.Rest.Name)
	}
	for i, name := range names {
		if slices.Contains(there, name) {
			continue
		}
		why := "there is no such wave"
		if others := similar.To(name, there); len(others) > 0 {
			why += ": there is " + strings.Join(others, ", ")
		}
		p.add(field.Invalid(path.Index(i), shorten(name), why))
	}
}

// patch reads a merge patch, without what a resource may not have either.
func (p *parser) patch(raw []byte, path *field.Path) manifest.Object {
	if absent(raw) {
		p.add(field.Required(path, "give the fields to change"))
		return nil
	}
	if len(raw) > contract.MaxResourceBytes {
		p.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("is %d bytes of JSON: at most %d are accepted", len(raw), contract.MaxResourceBytes)))
		return nil
	}
	patch := map[string]any{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &patch); err != nil {
		p.add(field.Invalid(path, field.OmitValueType{}, "must be an object: the fields to change"))
		return nil
	}
	const why = "an override may not change what names the object"
	for _, name := range []string{"apiVersion", "kind"} {
		if _, given := patch[name]; given {
			p.add(field.Forbidden(path.Child(name), why))
		}
	}
	if given, is := patch["metadata"]; is {
		metadata, ok := given.(map[string]any)
		if !ok {
			p.add(field.Invalid(path.Child("metadata"), field.OmitValueType{}, "must be an object: "+why))
		}
		for _, name := range []string{"name", "namespace", "generateName"} {
			if _, given := metadata[name]; given {
				p.add(field.Forbidden(path.Child("metadata", name), why))
			}
		}
	}
	p.add(ofOneCluster(patch, path.Child("metadata"))...)
	p.add(inexact(patch, false, path)...)
	strip(patch)
	return patch
}

// bind finds out which resources the overrides, which stand at path, are about.
func (p *parser) bind(path *field.Path) {
	for i := range p.Overrides {
		override := &p.Overrides[i]
		at := path.Index(i).Child("resource")
		switch name := override.name; {
		case len(p.Resources) == 0:
			p.add(field.Forbidden(path.Index(i), "there is no resource to change"))
			continue
		case name != nil:
			override.Resource = p.named(*name, at)
		case len(p.Resources) > 1:
			p.add(field.Required(at, "there are several resources: say which one by its kind and name"))
		}
		if override.Resource >= 0 && p.Resources[override.Resource].Object == nil {
			p.add(field.Forbidden(path.Index(i), "the resource is only named: there is nothing to change"))
		}
	}
}

// named returns the index of the one resource of a kind and name, and -1 where there
// is none.
func (p *parser) named(name contract.ResourceName, path *field.Path) int {
	var found, names = -1, []string(nil)
	for i, resource := range p.Resources {
		names = append(names, resource.Ref.Kind+" "+resource.Ref.Name)
		switch {
		case resource.Ref.Kind != name.Kind || resource.Ref.Name != name.Name:
		case found >= 0:
			p.add(field.Invalid(path, shorten(name.Kind+" "+name.Name), "several resources have that kind and name"))
			return found
		default:
			found = i
		}
	}
	if found < 0 {
		p.add(field.NotSupported(path, shorten(name.Kind+" "+name.Name), names))
	}
	return found
}
