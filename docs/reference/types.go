package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/tools/go/packages"
)

// source is a package, with the comments of what it and the other packages that were
// loaded declare.
type source struct {
	types *types.Package
	// comments are by the position of the name that they speak of.
	comments map[token.Pos]string
}

// load reads packages from source, by their names.
func load(root string, patterns ...string) (map[string]source, error) {
	config := &packages.Config{Dir: root, Mode: packages.LoadSyntax}
	loaded, err := packages.Load(config, patterns...)
	if err != nil {
		return nil, err
	}
	sources, comments := map[string]source{}, map[token.Pos]string{}
	for _, pkg := range loaded {
		if len(pkg.Errors) > 0 {
			return nil, pkg.Errors[0]
		}
		s := source{types: pkg.Types, comments: comments}
		for _, file := range pkg.Syntax {
			ast.Inspect(file, s.readComments)
		}
		sources[pkg.Name] = s
	}
	return sources, nil
}

func (s source) readComments(node ast.Node) bool {
	keep := func(doc *ast.CommentGroup, names ...*ast.Ident) {
		for _, name := range names {
			s.comments[name.Pos()] = doc.Text()
		}
	}
	switch node := node.(type) {
	case *ast.Field:
		keep(node.Doc, node.Names...)
	case *ast.ValueSpec:
		keep(node.Doc, node.Names...)
	case *ast.GenDecl:
		for _, spec := range node.Specs {
			if spec, ok := spec.(*ast.TypeSpec); ok {
				keep(node.Doc, spec.Name)
			}
		}
	}
	return true
}

// structIn returns the struct that a type is, or nil.
func structIn(t types.Type) *types.Struct {
	found, _ := t.Underlying().(*types.Struct)
	return found
}

// values returns the constants of a type, in the order of the source.
func (s source) values(of types.Type) []*types.Const {
	var values []*types.Const
	for _, name := range s.types.Scope().Names() {
		if value, ok := s.types.Scope().Lookup(name).(*types.Const); ok && value.Exported() && types.Identical(value.Type(), of) {
			values = append(values, value)
		}
	}
	slices.SortFunc(values, func(a, b *types.Const) int { return int(a.Pos() - b.Pos()) })
	return values
}

// lookup finds what a comment links to: Name, or pkg.Name of a package that this
// one imports.
func (s source) lookup(importPath, name string) types.Object {
	if importPath == "" {
		return s.types.Scope().Lookup(name)
	}
	for _, imported := range s.types.Imports() {
		if imported.Path() == importPath {
			return imported.Scope().Lookup(name)
		}
	}
	return nil
}

// importNamed finds the path of an imported package, as comments name it.
func (s source) importNamed(name string) (string, bool) {
	for _, imported := range s.types.Imports() {
		if imported.Name() == name {
			return imported.Path(), true
		}
	}
	return "", false
}

// inWords writes a constant as a person would.
func inWords(c *types.Const) string {
	n, isInt := constant.Int64Val(constant.ToInt(c.Val()))
	switch {
	case c.Type().String() == "time.Duration":
		return fmt.Sprintf("%v seconds", time.Duration(n).Seconds())
	case isInt:
		return message.NewPrinter(language.English).Sprint(n)
	}
	return c.Val().ExactString()
}

// jsonType is the type of a field in words, and what there is to say about it.
type jsonType struct {
	words string
	// object is the struct that the value is or consists of, and below what its
	// fields have between the field's own path and theirs.
	object *types.Named
	below  string
	// values is the type with constants that the value is one of.
	values *types.Named
}

// describe says how a Go type looks in JSON.
func (s source) describe(t types.Type) (jsonType, error) {
	switch t := types.Unalias(t).(type) {
	case *types.Pointer:
		return s.describe(t.Elem())
	case *types.Slice:
		item, err := s.describe(t.Elem())
		item.words, item.below = "list of "+plural(item.words), "[]"+item.below
		return item, err
	case *types.Map:
		value, err := s.describe(t.Elem())
		value.words, value.below = "object of "+plural(value.words), ".*"+value.below
		if key, ok := t.Key().(*types.Named); ok && len(s.values(key)) > 0 {
			value.words, value.values = value.words+" by "+valuesOf(key).link(), key
		}
		return value, err
	case *types.Named:
		switch {
		case t.String() == "encoding/json.RawMessage":
			return jsonType{words: "JSON"}, nil
		case structIn(t) != nil:
			return jsonType{words: "object", object: t}, nil
		case len(s.values(t)) > 0:
			return jsonType{words: valuesOf(t).link(), values: t}, nil
		}
		return s.describe(t.Underlying())
	case *types.Interface:
		return jsonType{words: "JSON"}, nil
	case *types.Basic:
		switch info := t.Info(); {
		case info&types.IsString != 0:
			return jsonType{words: "string"}, nil
		case info&types.IsBoolean != 0:
			return jsonType{words: "boolean"}, nil
		case info&types.IsInteger != 0:
			return jsonType{words: "integer"}, nil
		case info&types.IsFloat != 0:
			return jsonType{words: "number"}, nil
		}
	}
	return jsonType{}, errors.New("no words for type " + t.String())
}

func plural(words string) string {
	if first, rest, compound := strings.Cut(words, " of "); compound {
		return plural(first) + " of " + rest
	}
	if words == "JSON" {
		return words
	}
	return words + "s"
}

// valuesOf is the anchor of the section that lists a type's values.
func valuesOf(t *types.Named) anchor {
	name := t.Obj().Name()
	return anchor{id: "values-of-" + strings.ToLower(name), text: name}
}
