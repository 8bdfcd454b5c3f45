package asl

import (
	"errors"
	"fmt"
	"strings"
)

// Names of the errors that Step Functions itself reports.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
const (
	ErrAll                = "States.ALL"
	ErrTaskFailed         = "States.TaskFailed"
	ErrTimeout            = "States.Timeout"
	ErrRuntime            = "States.Runtime"
	ErrDataLimitExceeded  = "States.DataLimitExceeded"
	ErrQueryEvaluation    = "States.QueryEvaluationError"
	ErrNoChoiceMatched    = "States.NoChoiceMatched"
	ErrToleranceExceeded  = "States.ExceedToleratedFailureThreshold"
	ErrItemReaderFailed   = "States.ItemReaderFailed"
	ErrResultWriterFailed = "States.ResultWriterFailed"
	ErrHeartbeatTimeout   = "States.HeartbeatTimeout"
)

// MaxPayload is the limit for the input or output of any state, task or
// execution, in bytes of UTF-8.
const MaxPayload = 262144

// Error is an error as a state machine knows it: a name that Retry and Catch
// match, and a cause for people. Tasks return it to choose the name.
type Error struct {
	Name  string
	Cause string
}

func (e *Error) Error() string {
	if e.Cause == "" {
		return e.Name
	}
	return e.Name + ": " + e.Cause
}

// UnsupportedError is returned by Parse when a definition is (or may be) right
// for AWS but uses what this package does not run.
type UnsupportedError struct {
	Path string // where in the definition, e.g. /States/Fetch/ItemBatcher
	What string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s: %s is not supported by the local runner", e.Path, e.What)
}

// Diagnostic is one thing that is wrong with a definition. Code is one of
// those that ValidateStateMachineDefinition returns.
type Diagnostic struct {
	Code    string
	Path    string
	Message string
}

// InvalidError is returned by Parse when AWS would refuse the definition.
type InvalidError struct {
	Diagnostics []Diagnostic
}

func (e *InvalidError) Error() string {
	texts := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		texts[i] = fmt.Sprintf("%s: %s at %s", d.Code, d.Message, d.Path)
	}
	return strings.Join(texts, ", ")
}

// Diagnostics lists what an error of Parse says, with a diagnostic for each
// thing that is not supported.
func Diagnostics(err error) []Diagnostic {
	switch e := err.(type) { //nolint:errorlint // it takes apart what Parse has joined
	case *UnsupportedError:
		return []Diagnostic{{codeUnsupported, e.Path, e.Error()}}
	case *InvalidError:
		return e.Diagnostics
	case interface{ Unwrap() []error }:
		var out []Diagnostic
		for _, part := range e.Unwrap() {
			out = append(out, Diagnostics(part)...)
		}
		return out
	}
	return nil
}

// Codes of diagnostics.
const (
	codeUnsupported  = "NOT_SUPPORTED_LOCALLY" // this package's own
	codeSchema       = "SCHEMA_VALIDATION_FAILED"
	codeJSON         = "INVALID_JSON_DESCRIPTION"
	codeTarget       = "MISSING_TRANSITION_TARGET"
	codeStartAt      = "MISSING_START_AT"
	codeDuplicate    = "DUPLICATE_STATE_NAME"
	codeInvalidLabel = "DUPLICATE_DISTRIBUTED_MAP_LABEL"
)

// errHalted ends every line of control of an execution that was stopped, has
// timed out, or whose fork has failed elsewhere: nobody may catch it.
var errHalted = errors.New("halted")

// asError gives what a task or a host returned the shape of a state's error.
func asError(err error) *Error {
	var named *Error
	if errors.As(err, &named) {
		return named
	}
	return &Error{Name: ErrTaskFailed, Cause: err.Error()}
}

// matches says whether a list of ErrorEquals covers the error. States.Runtime
// cannot be caught at all, and the wildcards leave States.DataLimitExceeded out.
func matches(errorEquals []string, name string) bool {
	if name == ErrRuntime {
		return false
	}
	for _, want := range errorEquals {
		switch {
		case want == name:
			return true
		case name == ErrDataLimitExceeded:
		case want == ErrAll:
			return true
		case want == ErrTaskFailed && name != ErrTimeout && name != ErrHeartbeatTimeout:
			return true
		case want == ErrTimeout && name == ErrHeartbeatTimeout:
			return true
		}
	}
	return false
}
