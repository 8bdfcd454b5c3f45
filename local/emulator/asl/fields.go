package asl

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// fields hands out an object's members by name and then says which are left:
// a field that nobody asked for is an error.
type fields struct {
	p       *parser
	path    string
	members []member
}

func (p *parser) fields(n *node, path string) *fields {
	f := &fields{p: p, path: path}
	if n == nil || n.kind != kindObject {
		p.wrong(codeSchema, path, "An object is expected")
		return f
	}
	f.members = slices.Clone(n.members)
	return f
}

// take removes and returns a member, or nil.
func (f *fields) take(name string) *node {
	for i, m := range f.members {
		if m.name == name {
			f.members = slices.Delete(f.members, i, i+1)
			return m.value
		}
	}
	return nil
}

// rest reports what is left.
func (f *fields) rest() {
	for _, m := range f.members {
		f.p.wrong(codeSchema, f.path, "Field '%s' is not supported", m.name)
	}
}

func (f *fields) wrong(name, format string, args ...any) {
	f.p.wrong(codeSchema, f.path+"/"+name, format, args...)
}

func (f *fields) text(name string) string {
	n := f.take(name)
	if n == nil {
		return ""
	}
	if n.kind != kindString {
		f.wrong(name, "A string is expected")
	}
	return n.text
}

func (f *fields) oneOf(name string, allowed ...string) string {
	n := f.take(name)
	if n == nil {
		if name == "Type" {
			f.wrong(name, "The field 'Type' is required")
		}
		return ""
	}
	if n.kind != kindString || !slices.Contains(allowed, n.text) {
		f.wrong(name, "The value must be one of the following: [%s]", strings.Join(allowed, ", "))
		return ""
	}
	return n.text
}

func (f *fields) boolean(name string) bool {
	n := f.take(name)
	if n == nil {
		return false
	}
	if n.kind != kindBoolean {
		f.wrong(name, "A boolean is expected")
	}
	return string(n.raw) == "true"
}

// integer returns unset when the field is absent.
func (f *fields) integer(name string, unset, low, high int) int {
	n := f.take(name)
	if n == nil {
		return unset
	}
	var v int
	if n.kind != kindNumber || json.Unmarshal(n.raw, &v) != nil || v < low || v > high {
		f.wrong(name, "The value must be an integer from %d to %d", low, high)
		return unset
	}
	return v
}

func (f *fields) number(name string, unset, low float64) float64 {
	n := f.take(name)
	if n == nil {
		return unset
	}
	var v float64
	if n.kind != kindNumber || json.Unmarshal(n.raw, &v) != nil || v < low || math.IsInf(v, 0) {
		f.wrong(name, "The value must be a number greater than or equal to %v", low)
		return unset
	}
	return v
}

func (f *fields) array(name string) []*node {
	n := f.take(name)
	if n == nil {
		return nil
	}
	if n.kind != kindArray {
		f.wrong(name, "An array is expected")
	}
	return n.items
}

// Members of $states that only some fields see.
const (
	seesResult      = "result"      // Assign and Output of a Task, Map or Parallel state
	seesErrorOutput = "errorOutput" // Assign and Output inside of Catch
)

// value reads a field that may hold expressions, and checks their grammar and
// that they read no member of $states that this field does not see.
func (f *fields) value(name string, sees ...string) *template {
	n := f.take(name)
	if n == nil {
		return nil
	}
	n.strings(f.path+"/"+name, func(path, text string) { f.p.expression(path, text, sees) })
	return newTemplate(n)
}

// expression checks a string that may be an expression.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#transforming-reserved-variable-states
func (p *parser) expression(path, text string, sees []string) {
	expr, ok, err := expression(text)
	if err != nil {
		p.wrong(codeSchema, path, "The value '%s' is not valid: %v", text, err)
	}
	if !ok {
		return
	}
	reads, err := p.engine.Check(expr)
	if err != nil {
		p.wrong(codeSchema, path, "The JSONata expression '%s' is not valid: %v", expr, err)
	}
	for _, member := range []string{seesResult, seesErrorOutput} {
		if slices.Contains(reads, member) && !slices.Contains(sees, member) {
			p.wrong(codeSchema, path, "The JSONata expression '%s' reads $states.%s, which is not available in this field", expr, member)
		}
	}
}

// assign reads an object of variables.
func (f *fields) assign(name string, sees ...string) *template {
	t := f.value(name, sees...)
	if t == nil {
		return nil
	}
	if t.kind != kindObject {
		f.wrong(name, "An object is expected")
		return nil
	}
	for _, v := range t.names {
		if v == "states" || !variableName.MatchString(v) {
			f.wrong(name+"/"+v, "'%s' is not a name for a variable", v)
		}
	}
	return t
}

func (f *fields) errorEquals() []string {
	var out []string
	nodes := f.array("ErrorEquals")
	if len(nodes) == 0 {
		f.wrong("ErrorEquals", "A non-empty array is expected")
	}
	for _, n := range nodes {
		if n.kind != kindString {
			f.wrong("ErrorEquals", "An array of strings is expected")
		}
		out = append(out, n.text)
	}
	return out
}
