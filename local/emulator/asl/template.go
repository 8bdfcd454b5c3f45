package asl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
)

// template is a JSON value of a definition in which every string of the form
// "{% expression %}" stands for that expression's result.
type template struct {
	kind     kind
	expr     string          // set when this value is an expression
	constant json.RawMessage // set when there is no expression inside
	names    []string        // of an object's members
	parts    []*template     // of an object or array
}

// errDelimiters is returned for a string that opens an expression and does not
// close it, or the reverse.
var errDelimiters = errors.New("an expression must start with '{%' and end with '%}', without spaces outside of them")

// expression returns the JSONata inside "{% %}". A string with space on both
// sides of the marks is an ordinary one on AWS; one mark without the other at
// its end of the string is a mistake.
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#writing-jsonata-expressions-in-json-strings
func expression(s string) (expr string, ok bool, err error) {
	opens, closes := strings.HasPrefix(s, "{%"), strings.HasSuffix(s, "%}")
	switch {
	case opens && closes && len(s) >= len("{%%}"):
		return strings.TrimSpace(s[2 : len(s)-2]), true, nil
	case opens || closes:
		return "", false, errDelimiters
	}
	return "", false, nil
}

func newTemplate(n *node) *template {
	t := &template{kind: n.kind}
	constant := true
	add := func(name string, child *node) {
		part := newTemplate(child)
		t.names = append(t.names, name)
		t.parts = append(t.parts, part)
		constant = constant && part.constant != nil
	}
	switch n.kind {
	case kindString:
		if expr, ok, _ := expression(n.text); ok { // fields.value tells of the error
			t.expr = expr
			return t
		}
	case kindArray:
		for _, item := range n.items {
			add("", item)
		}
	case kindObject:
		for _, m := range n.members {
			add(m.name, m.value)
		}
	default:
	}
	if constant {
		t.constant = n.raw
	}
	return t
}

// dynamic says whether the value as a whole is an expression.
func (t *template) dynamic() bool { return t.kind == kindString && t.constant == nil }

func (t *template) partPath(path string, i int) string {
	if t.kind == kindArray {
		return fmt.Sprintf("%s[%d]", path, i)
	}
	return path + "/" + t.names[i]
}

// fieldError is a failure of the value of one field of a state.
type fieldError struct {
	path    string
	problem string // the sentence for the cause, which begins "The ..."
}

func (e *fieldError) Error() string { return e.problem }

// eval returns the value as compact JSON. It returns a *fieldError when an
// expression has no value or fails, else the cause of ctx.
func (t *template) eval(ctx context.Context, s *jsonata.Session, path string) (json.RawMessage, error) {
	switch {
	case t.constant != nil:
		return t.constant, nil
	case t.dynamic():
		return evalExpression(ctx, s, path, t.expr)
	}
	var out bytes.Buffer
	out.WriteByte("[{"[btoi(t.kind == kindObject)])
	for i, part := range t.parts {
		if i > 0 {
			out.WriteByte(',')
		}
		if t.kind == kindObject {
			out.Write(encode(t.names[i]))
			out.WriteByte(':')
		}
		v, err := part.eval(ctx, s, t.partPath(path, i))
		if err != nil {
			return nil, err
		}
		out.Write(v)
	}
	out.WriteByte("]}"[btoi(t.kind == kindObject)])
	return out.Bytes(), nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func evalExpression(ctx context.Context, s *jsonata.Session, path, expr string) (json.RawMessage, error) {
	v, err := s.Eval(ctx, expr)
	if err == nil {
		return v, nil
	}
	about := fmt.Sprintf("The JSONata expression '%s' specified for the field '%s'", expr, path)
	var failed *jsonata.EvalError
	errors.As(err, &failed)
	switch {
	case errors.Is(err, jsonata.ErrUndefined):
		return nil, &fieldError{path, about + " returned nothing (undefined)."}
	case failed == nil:
		return nil, err
	case failed.Code == "FUNCTION":
		return nil, &fieldError{path, about + " returned an unsupported result type."}
	default:
		return nil, &fieldError{path, about + " threw an error during evaluation. " + failed.Error()}
	}
}
