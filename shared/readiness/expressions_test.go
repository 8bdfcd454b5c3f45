package readiness_test

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/readiness"
)

func current(source string) contract.ReadyExpressions {
	return contract.ReadyExpressions{Current: source}
}

// Expressions as Flux's users write them, after the tests of
// https://github.com/fluxcd/pkg/blob/main/runtime/cel/status_evaluator_test.go and
// https://fluxcd.io/flux/cheatsheets/cel-healthchecks/
func TestExpressions(t *testing.T) {
	flags := contract.ReadyExpressions{Current: "data.current", Failed: "data.failed", InProgress: "data.inProgress"}
	conditions := contract.ReadyExpressions{
		InProgress: "has(status.observedGeneration) && metadata.generation != status.observedGeneration",
		Failed:     "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'False')",
		Current:    "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')",
	}
	certificate := contract.ReadyExpressions{
		InProgress: "status.conditions.filter(e, e.type == 'Issuing').exists(e, e.observedGeneration == metadata.generation && e.status == 'True')",
		Failed:     "status.conditions.filter(e, e.type == 'Ready').all(e, e.observedGeneration == metadata.generation && e.status == 'False')",
		Current:    "status.conditions.filter(e, e.type == 'Ready').all(e, e.observedGeneration == metadata.generation && e.status == 'True')",
	}
	cases{
		{name: "none is true", expressions: flags, object: `{data: {current: false, inProgress: false, failed: false}}`, state: progressing, message: "none of the request's expressions is true yet"},
		{name: "all are true", expressions: flags, object: `{data: {current: true, inProgress: true, failed: true}}`, state: progressing, message: "expression inProgress is true: data.inProgress"},
		{name: "current and failed are true", expressions: flags, object: `{data: {current: true, inProgress: false, failed: true}}`, state: failed, message: "expression failed is true: data.failed"},
		{name: "current is true", expressions: flags, object: `{data: {current: true, inProgress: false, failed: false}}`, state: ready, message: "expression current is true: data.current"},

		{name: "conditions, Ready", expressions: conditions, object: `{metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}}`, state: ready, message: "expression current", observed: "2"},
		{name: "conditions, not Ready", expressions: conditions, object: `{metadata: {generation: 2}, status: {observedGeneration: 2, conditions: [{type: Ready, status: "False"}]}}`, state: failed, message: "expression failed", observed: "2"},
		{name: "conditions, Unknown", expressions: conditions, object: `{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: Unknown}]}}`, state: progressing, message: "none of"},
		{name: "conditions, an empty list", expressions: conditions, object: `{metadata: {generation: 2}, status: {conditions: []}}`, state: failed, message: "expression failed"},
		{name: "conditions, none", expressions: conditions, object: `{metadata: {generation: 2}, status: {phase: a}}`, state: progressing, message: "expression failed reads what is not there yet: no such key: conditions"},
		{name: "conditions, no status", expressions: conditions, object: `{metadata: {generation: 2}}`, state: progressing, message: "the operator has not written a status yet"},
		{name: "Certificate, issuing", expressions: certificate, object: `{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: "False", observedGeneration: 2}, {type: Issuing, status: "True", observedGeneration: 2}]}}`,
			state: progressing, message: "expression inProgress", observed: "2"},
		{name: "Certificate, issued", expressions: certificate, object: `{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: "True", observedGeneration: 2}]}}`,
			state: ready, message: "expression current", observed: "2"},
		{name: "Certificate, issued for an earlier generation", expressions: certificate, object: `{metadata: {generation: 2}, status: {conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`,
			state: progressing, message: "none of", observed: ""},

		{name: "self is the object", expressions: current("self.status.phase == self.spec.wanted"), object: `{spec: {wanted: Up}, status: {phase: Up}}`, state: ready, message: "expression current"},
		{name: "self, no status", expressions: current("self.status.phase == self.spec.wanted"), object: `{spec: {wanted: Up}}`, state: progressing, message: "the operator has not written a status yet"},
		{name: "an optional status that is not there", expressions: current("self.?status.conditions.orValue([]).all(c, c.status == 'True')"), object: `{spec: {}}`, state: progressing, message: "the operator has not written a status yet"},
		{name: "an optional field that is not there", expressions: current("status.?conditions.orValue([]).exists(c, c.status == 'True')"), object: `{status: {phase: a}}`, state: progressing, message: "none of"},
		{name: "numbers of two types", expressions: current("status.ratio >= 1 && int(status.text) == 2"), object: `{status: {ratio: 1.5, text: "2"}}`, state: ready, message: "expression current"},
		{name: "libraries", expressions: current("status.phase.lowerAscii() == 'up' && sets.contains(['a'], ['a']) && base64.encode(b'a') == 'YQ=='"), object: `{status: {phase: UP}}`, state: ready, message: "expression current"},
		{name: "types", expressions: current("type(status.phase) == string"), object: `{status: {phase: UP}}`, state: ready, message: "expression current"},
		{name: "an index that is not there yet", expressions: current("status.conditions[0].status == 'True'"), object: `{status: {conditions: []}}`, state: progressing, message: "expression current reads what is not there yet: index out of bounds: 0"},
		{name: "a label that is not there yet", expressions: current("metadata.labels['health'] == 'good'"), object: `{metadata: {labels: {}}, status: {phase: a}}`, state: progressing, message: "expression current reads what is not there yet: no such key: health"},

		{name: "a variable that the object has not", expressions: current("statuss.phase == 'Up'"), object: `{status: {phase: Up}}`, err: "expression current: no such attribute(s): statuss"},
		{name: "another type", expressions: current("status.phase > 1"), object: `{status: {phase: Up}}`, err: "expression current: no such overload"},
		{name: "no bool", expressions: current("status.phase"), object: `{status: {phase: Up}}`, err: "expression current: must be true or false, and is a string"},
		{name: "too much", expressions: current("status.list.all(a, status.list.all(b, status.list.all(c, status.list.all(d, a + b + c + d >= 0))))"),
			object: `{status: {list: [` + strings.Repeat("1, ", 99) + `1]}}`, err: "expression current: operation "},
	}.run(t)
}

func TestExpressionsThatDoNotCompile(t *testing.T) {
	for _, test := range []struct {
		name        string
		expressions contract.ReadyExpressions
		expression  string
		says        string
	}{
		{"no current", contract.ReadyExpressions{Failed: "false"}, "current", "is required"},
		{"syntax", current("status."), "current", "line 1, column 8: Syntax error"},
		{"syntax of failed", contract.ReadyExpressions{Current: "true", Failed: "data."}, "failed", "Syntax error"},
		{"syntax of inProgress", contract.ReadyExpressions{Current: "true", InProgress: "data."}, "inProgress", "Syntax error"},
		{"a macro that there is not", current("status.conditions.exist(e, e.type == 'Ready')"), "current", "undeclared reference to 'exist'"},
		{"a function that there is not", current("lower(status.phase) == 'up'"), "current", "undeclared reference to 'lower'"},
		{"has without a field", current("has(status)"), "current", "invalid argument to has() macro"},
		{"no bool", current("'Ready'"), "current", "must be true or false, and is a string"},
		{"two types", current("status.phase == 'Up' || 1"), "current", "expected type 'bool' but found 'int'"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := readiness.New(test.expressions, "", schema.GroupKind{})
			var invalid *readiness.ExpressionError
			if !errors.As(err, &invalid) || invalid.Name != test.expression || !strings.Contains(invalid.Message, test.says) || strings.Contains(invalid.Message, "\n") {
				t.Errorf("got %#v, want %s: %s", err, test.expression, test.says)
			}
		})
	}
}
