package asl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/crossapply/crossapply/local/asl/jsonata"
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

// expression returns the JSONata inside "{% %}". Space outside of the marks
// makes the string an ordinary one, as on AWS.
func expression(s string) (string, bool) {
	if len(s) < 4 || !strings.HasPrefix(s, "{%") || !strings.HasSuffix(s, "%}") {
		return "", false
	}
	return strings.TrimSpace(s[2 : len(s)-2]), true
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
		if expr, ok := expression(n.text); ok {
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

// expressions calls visit for every expression and the path of its field.
func (t *template) expressions(path string, visit func(path, expr string)) {
	if t == nil {
		return
	}
	if t.kind == kindString && t.constant == nil {
		visit(path, t.expr)
	}
	for i, part := range t.parts {
		part.expressions(t.partPath(path, i), visit)
	}
}

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
	case t.kind == kindString:
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
