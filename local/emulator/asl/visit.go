package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
)

// visit is one stay of a thread in one state.
type visit struct {
	thread  *thread
	state   *state
	input   json.RawMessage
	id      int64 // of the event StateEntered
	entered time.Time
	retries int
	waiting *Callback // of the attempt, where the state waits for an answer
}

// values is what an expression may see beside the state's input.
type values struct {
	result, errorOutput json.RawMessage
	item                *mapItem // in an ItemSelector
}

// session opens a session with $states and all visible variables.
func (v *visit) session(see values) *jsonata.Session {
	variables := map[string]json.RawMessage{}
	v.thread.scope.visible(variables)
	states := jsonata.Object{{Name: "input", Value: v.input}}
	if see.result != nil {
		states = append(states, jsonata.Member{Name: "result", Value: see.result})
	}
	if see.errorOutput != nil {
		states = append(states, jsonata.Member{Name: "errorOutput", Value: see.errorOutput})
	}
	states = append(states, jsonata.Member{Name: "context", Value: v.context(see.item)})
	return v.thread.execution.machine.engine.Session(variables, states)
}

// context builds the context object.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
func (v *visit) context(item *mapItem) jsonata.Object {
	e := v.thread.execution
	out := jsonata.Object{
		{Name: "Execution", Value: jsonata.Object{
			{Name: "Id", Value: e.ARN}, {Name: "Input", Value: e.input}, {Name: "Name", Value: e.Name}, {Name: "RedriveCount", Value: 0},
			{Name: "RoleArn", Value: e.RoleARN}, {Name: "StartTime", Value: contextTime(e.StartDate)},
		}},
	}
	if v.waiting != nil {
		out = append(out, jsonata.Member{Name: "Task", Value: jsonata.Object{{Name: "Token", Value: v.waiting.token}}})
	}
	if item == nil {
		item = v.thread.item
	}
	if item != nil {
		out = append(out, jsonata.Member{Name: "Map", Value: jsonata.Object{{Name: "Item", Value: item.object()}}})
	}
	return append(out,
		jsonata.Member{Name: "State", Value: jsonata.Object{
			{Name: "EnteredTime", Value: contextTime(v.entered)}, {Name: "Name", Value: v.state.name}, {Name: "RetryCount", Value: v.retries},
		}},
		jsonata.Member{Name: "StateMachine", Value: jsonata.Object{
			{Name: "Id", Value: e.MachineARN}, {Name: "Name", Value: e.MachineARN[strings.LastIndex(e.MachineARN, ":")+1:]},
		}})
}

// eval evaluates a field. What goes wrong is recorded as EvaluationFailed.
func (v *visit) eval(ctx context.Context, field string, t *template, see values) (json.RawMessage, error) {
	if t.constant != nil {
		return t.constant, nil
	}
	s := v.session(see)
	defer s.Close()
	out, err := t.eval(ctx, s, field)
	return out, v.evalError(err)
}

// evalError turns a *fieldError into the state's error, and any other into
// errHalted: only the end of the context gives another.
func (v *visit) evalError(err error) error {
	var wrong *fieldError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrong):
		return errHalted
	}
	failure := &Error{
		Name: ErrQueryEvaluation,
		Cause: fmt.Sprintf("An error occurred while executing the state '%s' (entered at the event id #%d). %s",
			v.state.name, v.id, wrong.problem),
	}
	v.thread.record(types.HistoryEvent{
		Type: types.HistoryEventTypeEvaluationFailed,
		EvaluationFailedEventDetails: &types.EvaluationFailedEventDetails{
			Error: aws.String(failure.Name), Cause: aws.String(failure.Cause),
			Location: text(wrong.path), State: aws.String(v.state.name),
		},
	})
	return failure
}

// evalKind evaluates a field that must have a certain type.
func (v *visit) evalKind(ctx context.Context, field string, t *template, want kind) (json.RawMessage, error) {
	out, err := v.eval(ctx, field, t, values{})
	if err != nil {
		return nil, err
	}
	if got := kindOf(out); got != want {
		return nil, v.evalError(&fieldError{field, fmt.Sprintf(
			"The JSONata expression '%s' specified for the field '%s' returned an unexpected result type. Expected '%s', but was '%s' for value: %s",
			t.expr, field, want, got, out)})
	}
	return out, nil
}

// evalString evaluates a field that must be a string; nil is "".
func (v *visit) evalString(ctx context.Context, field string, t *template) (string, error) {
	if t == nil {
		return "", nil
	}
	raw, err := v.evalKind(ctx, field, t, kindString)
	if err != nil {
		return "", err
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", v.evalError(&fieldError{field, fmt.Sprintf("The value of the field '%s' is not a string.", field)})
	}
	return s, nil
}

// evalInteger evaluates a field that must be an integer within bounds.
func (v *visit) evalInteger(ctx context.Context, field string, t *template, low, high int64) (int64, error) {
	raw, err := v.evalKind(ctx, field, t, kindNumber)
	if err != nil {
		return 0, err
	}
	var f float64
	if err := json.Unmarshal(raw, &f); err == nil && f == math.Trunc(f) && f >= float64(low) && f <= float64(high) {
		return int64(f), nil
	}
	return 0, v.evalError(&fieldError{field, fmt.Sprintf(
		"The JSONata expression '%s' specified for the field '%s' returned value not within the acceptable range. Min is '%d' and Max is '%d' for value: %s",
		t.expr, field, low, high, raw)})
}

// ends are the fields that a state, a choice or a Catch ends with.
type ends struct {
	prefix         string // of the fields' paths, e.g. Catch[0]/
	assign, output *template
	fallback       json.RawMessage // the output where there is no field Output
}

// leave evaluates Assign and Output, which both see the variables as they
// were, records StateExited and only then sets the variables.
func (v *visit) leave(ctx context.Context, end ends, see values) (json.RawMessage, error) {
	assigned, output, err := v.evalEnds(ctx, end, see)
	if err != nil {
		return nil, err
	}
	v.thread.record(exitedEvent(v.state, output, assigned))
	v.thread.scope.set(assigned)
	return output, nil
}

func (v *visit) evalEnds(ctx context.Context, end ends, see values) (map[string]json.RawMessage, json.RawMessage, error) {
	s := v.session(see)
	defer s.Close()
	assigned := map[string]json.RawMessage{}
	if end.assign != nil {
		for i, name := range end.assign.names {
			value, err := end.assign.parts[i].eval(ctx, s, end.prefix+"Assign/"+name)
			if err != nil {
				return nil, nil, v.evalError(err)
			}
			assigned[name] = value
		}
	}
	output := end.fallback
	if end.output != nil {
		var err error
		if output, err = end.output.eval(ctx, s, end.prefix+"Output"); err != nil {
			return nil, nil, v.evalError(err)
		}
	}
	if len(output) > MaxPayload {
		return nil, nil, v.tooLarge()
	}
	total := 0
	for _, value := range assigned {
		total += len(value)
	}
	switch {
	case total > MaxPayload:
		return nil, nil, &Error{ErrDataLimitExceeded, fmt.Sprintf(
			"The state '%s' assigns variables with a size exceeding the maximum number of bytes service limit.", v.state.name)}
	case !v.thread.scope.reserve(assigned):
		return nil, nil, &Error{ErrDataLimitExceeded, fmt.Sprintf(
			"With the variables of the state '%s' the execution's exceed the maximum number of bytes service limit.", v.state.name)}
	}
	return assigned, output, nil
}

func (v *visit) tooLarge() *Error {
	return &Error{ErrDataLimitExceeded, fmt.Sprintf(
		"The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", v.state.name)}
}
