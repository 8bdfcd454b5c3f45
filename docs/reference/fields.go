package main

import (
	"errors"
	"fmt"
	"go/constant"
	"go/types"
	"reflect"
	"strings"
)

// page is what a page needs to know of itself while it is written.
type page struct {
	sources map[string]source
	// anchors are where the page describes a type ("Target") or a field
	// ("Target.Region") first.
	anchors map[string]anchor
	// problems are what keeps it from being written.
	problems []error
}

// anchor is a place in a page: its id, and what a link to it says.
type anchor struct{ id, text string }

func (a anchor) link() string { return fmt.Sprintf("[%s](#%s)", a.text, a.id) }

// anchorOf is the anchor of a path: ready.timeoutSeconds, targets[].account,
// functions.*.memoryMB.
func anchorOf(path string) anchor {
	return anchor{id: strings.NewReplacer("[]", "", ".*", "").Replace(path), text: "`" + path + "`"}
}

// entry is one field of the JSON that a page describes.
type entry struct {
	path string
	json jsonType
	// says completes a sentence that begins with the path.
	says string
}

// fields lists the fields of a struct, those of the structs inside it included,
// by their paths in JSON, and behind them the values of the types that have a
// list of values. name is package.Type.
func (p *page) fields(name string) (string, error) {
	pkg, name, _ := strings.Cut(name, ".")
	s, loaded := p.sources[pkg]
	if !loaded {
		return "", fmt.Errorf("package %s is not loaded", pkg)
	}
	root, ok := s.types.Scope().Lookup(name).(*types.TypeName)
	if !ok || structIn(root.Type()) == nil {
		return "", fmt.Errorf("%s has no struct %s", pkg, name)
	}
	var text strings.Builder
	entries := p.entries(s, root.Type().(*types.Named), "")
	for _, e := range entries {
		subject := fmt.Sprintf("<a id=%q></a>**`%s`** (%s)", anchorOf(e.path).id, e.path, e.json.words)
		text.WriteString(item(subject, p.markdown(s, e.says)))
	}
	for _, e := range entries {
		p.writeValues(&text, s, e.json.values)
	}
	return text.String(), errors.Join(p.problems...)
}

// entries returns the fields of a struct, whose paths begin with prefix.
func (p *page) entries(s source, of *types.Named, prefix string) []entry {
	owner, fields := of.Obj().Name(), structIn(of)
	p.anchors[owner] = anchorOf(strings.TrimSuffix(prefix, "."))
	var entries []entry
	for i := range fields.NumFields() {
		field := fields.Field(i)
		tag := reflect.StructTag(fields.Tag(i))
		key, _, _ := strings.Cut(tag.Get("json"), ",")
		switch {
		case key == "-" || !field.Exported():
		case tag.Get("docs") == "-": // people do not see it
		case key == "" && field.Embedded():
			entries = append(entries, p.entries(s, field.Type().(*types.Named), prefix)...)
		default:
			p.anchors[owner+"."+field.Name()] = anchorOf(prefix + key)
			entries = append(entries, p.below(s, field, prefix+key)...)
		}
	}
	return entries
}

// below returns the entry of a field and, where this page describes them here
// first, those of the struct that it holds.
func (p *page) below(s source, field *types.Var, path string) []entry {
	json, err := s.describe(field.Type())
	if err != nil {
		p.problems = append(p.problems, fmt.Errorf("%s: %w", path, err))
	}
	e := entry{path: path, json: json, says: p.sentence(s, field)}
	if json.object == nil {
		return []entry{e}
	}
	of := json.object.Obj()
	if first, described := p.anchors[of.Name()]; described {
		if first.id != "" {
			e.json.words += " like " + first.link()
		}
		return []entry{e}
	}
	// The comment of a type begins with what the field says too.
	if _, more, found := strings.Cut(strings.ReplaceAll(s.comments[of.Pos()], ".\n", ". "), ". "); found {
		e.says += "\n\n" + more
	}
	return append([]entry{e}, p.entries(s, json.object, path+json.below+".")...)
}

// sentence returns the comment of a declaration without the name that it begins
// with, as by Go's convention it does.
func (p *page) sentence(s source, of types.Object) string {
	says, found := strings.CutPrefix(s.comments[of.Pos()], of.Name())
	if !found {
		p.problems = append(p.problems, fmt.Errorf("%s.%s has no comment that begins with its name", s.types.Name(), of.Name()))
	}
	return strings.TrimSpace(says)
}

// writeValues writes a section with the values of a type, once in a page.
func (p *page) writeValues(text *strings.Builder, s source, of *types.Named) {
	if of == nil || p.anchors[of.Obj().Name()] != (anchor{}) {
		return
	}
	name := of.Obj().Name()
	p.anchors[name] = valuesOf(of)
	fmt.Fprintf(text, "\n### Values of %s\n\n%s\n\n", name, p.markdown(s, s.comments[of.Obj().Pos()]))
	for _, value := range s.values(of) {
		text.WriteString(item("**`"+constant.StringVal(value.Val())+"`**", p.markdown(s, p.sentence(s, value))))
	}
}

// item is an item of a list: a sentence about a subject, and any paragraphs
// behind it.
func item(subject, says string) string {
	if !strings.HasPrefix(says, ":") && !strings.HasPrefix(says, ",") {
		subject += " "
	}
	says = strings.ReplaceAll(says, "\n", "\n  ")
	return "- " + subject + strings.ReplaceAll(says, "\n  \n", "\n\n") + "\n"
}
