package readiness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/health"
)

// ExpressionError is returned when an expression of the request does not compile.
type ExpressionError struct {
	// Name is the expression's field: "current", "failed" or "inProgress".
	Name string
	// Message says what is wrong with it, and where.
	Message string
}

func (e *ExpressionError) Error() string { return fmt.Sprintf("expression %s: %s", e.Name, e.Message) }

// expression is a compiled CEL expression.
type expression struct {
	name, source string
	// holds is the state of an object for which the expression is true.
	holds   health.State
	program cel.Program
	// readsStatus is set where the expression speaks of the status.
	readsStatus bool
}

// expressionsRule judges by CEL expressions in the form of Flux's
// healthCheckExprs, so that theirs can be pasted: an object's top-level fields are
// variables, and in addition self is the object. The first that is true of
// inProgress, failed and current decides, and where none is, the object is
// progressing.
// https://fluxcd.io/flux/components/kustomize/kustomizations/#health-check-expressions
//
// Flux reads every evaluation error as a status that is unknown so far, and waits
// until it runs out of time. Users want the one half of that: operators write
// their status piece by piece, so a field of it may just not be there yet
// (https://github.com/fluxcd/kustomize-controller/issues/1408). A field that is
// missing therefore is progress, and the message names it. The other half hides
// mistakes: any other error, such as a variable that the object does not have or
// a value of another type, is returned.
func expressionsRule(sources contract.ReadyExpressions) (*Rule, error) {
	if sources.Current == "" {
		return nil, &ExpressionError{Name: "current", Message: "is required where there are expressions, for without it nothing becomes Ready"}
	}
	var all []*expression
	for _, e := range []*expression{
		{name: "inProgress", source: sources.InProgress, holds: health.Progressing},
		{name: "failed", source: sources.Failed, holds: health.Failed},
		{name: "current", source: sources.Current, holds: health.Ready},
	} {
		if e.source == "" {
			continue
		}
		if err := e.compile(); err != nil {
			return nil, &ExpressionError{Name: e.name, Message: err.Error()}
		}
		all = append(all, e)
	}
	look := func(object map[string]any) (health.Verdict, error) { return evaluate(all, object) }
	return &Rule{
		name:  "the request's expressions",
		judge: ofGeneration(look),
		// Expressions that do not read the status need none.
		judgeSilent: func(object map[string]any, _ bool) (health.Verdict, error) { return look(object) },
	}, nil
}

func evaluate(all []*expression, object map[string]any) (health.Verdict, error) {
	variables := maps.Clone(object)
	variables["self"] = object
	silent := statusOf(object) == nil
	for _, e := range all {
		if silent && e.readsStatus {
			return waitForStatus(object, true)
		}
		isTrue, err := e.evaluate(variables)
		switch {
		case isMissing(err):
			return progressing(fmt.Sprintf("expression %s reads what is not there yet: %v", e.name, err)), nil
		case err != nil:
			return health.Verdict{}, fmt.Errorf("expression %s: %w", e.name, err)
		case isTrue:
			return health.Verdict{State: e.holds, Message: fmt.Sprintf("expression %s is true: %s", e.name, strings.Join(strings.Fields(e.source), " "))}, nil
		}
	}
	return progressing("none of the request's expressions is true yet"), nil
}

func (e *expression) evaluate(variables map[string]any) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), evaluationLimit)
	defer cancel()
	value, _, err := e.program.ContextEval(ctx, variables)
	if err != nil {
		return false, err
	}
	isTrue, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("must be true or false, and is a %s", value.Type().TypeName())
	}
	return bool(isTrue), nil
}

// isMissing says that an evaluation failed on a key or an index that is not there.
// CEL has no error type for that; a test holds its words.
func isMissing(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), "no such key: ") || strings.HasPrefix(err.Error(), "index out of bounds: "))
}

// environment is what Flux's expressions are written for: its options and
// libraries. Variables come with each expression.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(cel.EagerlyValidateDeclarations(true), cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true),
		cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders())
})

// The bounds of one evaluation, as in Kubernetes' own use of CEL:
// https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/apiserver/pkg/apis/cel/config.go
const (
	costLimit      = 1_000_000
	interruptEvery = 100
)

// compile parses and checks the expression. Which top-level fields an object has
// is not known before there is one, so every name that is not CEL's own is taken
// for one; what is checked is everything else.
func (e *expression) compile() error {
	env, err := environment()
	if err != nil {
		return err
	}
	parsed, issues := env.Parse(e.source)
	if issues.Err() != nil {
		return inOneLine(issues)
	}
	names := e.examine(parsed.NativeRep().Expr())
	var variables []cel.EnvOption
	for name := range names {
		if _, ok := env.CELTypeProvider().FindIdent(name); !ok {
			variables = append(variables, cel.Variable(name, cel.DynType))
		}
	}
	if env, err = env.Extend(variables...); err != nil {
		return err
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return inOneLine(issues)
	}
	if of := checked.OutputType(); of != cel.BoolType && of != cel.DynType {
		return fmt.Errorf("must be true or false, and is a %s", of)
	}
	e.program, err = env.Program(checked, cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptEvery))
	return err
}

// examine returns the names in the expression, and sets whether it reads the
// status, as status, self.status or self.?status.
func (e *expression) examine(root ast.Expr) map[string]bool {
	names := map[string]bool{}
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(node ast.Expr) {
		switch node.Kind() {
		case ast.IdentKind:
			// Names with @ are those that macros make.
			if name := node.AsIdent(); !strings.HasPrefix(name, "@") {
				names[name] = true
			}
		case ast.SelectKind:
			of := node.AsSelect().Operand()
			e.readsStatus = e.readsStatus || node.AsSelect().FieldName() == "status" && of.Kind() == ast.IdentKind && of.AsIdent() == "self"
		case ast.LiteralKind:
			e.readsStatus = e.readsStatus || node.AsLiteral() == types.String("status")
		}
	}))
	e.readsStatus = e.readsStatus || names["status"]
	return names
}

// inOneLine gives CEL's errors without the drawing of the place.
func inOneLine(issues *cel.Issues) error {
	var all []string
	for _, issue := range issues.Errors() {
		all = append(all, fmt.Sprintf("line %d, column %d: %s", issue.Location.Line(), issue.Location.Column()+1, issue.Message))
	}
	return errors.New(strings.Join(all, "; "))
}
