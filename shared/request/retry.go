package request

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/strictjson"
)

// Retry is a request to run an earlier one again.
type Retry struct {
	// Execution is the ARN of the earlier execution, and Name its name.
	Execution, Name string
	// fields are what the request gives beside, to be merged into the earlier one.
	fields map[string]any
}

// retriedFields are those of the earlier execution that a retry takes over.
var retriedFields = []string{"resource", "targets", "operation"}

// RetryOf reads a request as a retry: nil where it stands for itself, and is to be
// read by [Parse]. execution is the ARN of the execution whose input it is.
func RetryOf(raw json.RawMessage, execution string) (*Retry, field.ErrorList) {
	fields, err := decode(raw)
	if err != nil || fields["retry"] == nil {
		return nil, nil // Parse says what is wrong with it
	}
	var given contract.Request
	if problems := strictjson.Unmarshal(raw, &given, nil, "request"); len(problems) > 0 {
		return nil, problems
	}
	var problems field.ErrorList
	for _, name := range retriedFields {
		if fields[name] != nil {
			problems = append(problems, field.Forbidden(field.NewPath(name), "a retry takes it from the earlier execution"))
		}
		delete(fields, name)
	}
	delete(fields, "retry")
	retry := &Retry{Execution: given.Retry.Execution, fields: fields}
	at := field.NewPath("retry", "execution")
	ours := execution[:strings.LastIndex(execution, ":")+1] // of all executions of the state machine
	_, name, err := contract.ParseExecution(retry.Execution)
	switch {
	case err != nil || ours+name != retry.Execution:
		problems = append(problems, field.Invalid(at, fault.Shorten(retry.Execution, 200), "must be the ARN of an execution of this state machine: "+ours+"..."))
	case retry.Execution == execution:
		problems = append(problems, field.Invalid(at, retry.Execution, "is this execution itself"))
	}
	retry.Name = name
	return retry, problems
}

// Refusal is the error of an execution whose request, merged of the earlier one
// and the retry's own fields, is refused.
func (r Retry) Refusal(problems field.ErrorList) error {
	return refusal("the request of "+r.Execution+", with the fields given here, is invalid", problems)
}

// Request returns the request that the retry stands for: the earlier one, for
// those of its targets that are left, with the retry's own fields merged in. Its
// fields are not checked yet.
func (r Retry) Request(earlier json.RawMessage, left []contract.Target) (json.RawMessage, error) {
	merged, err := decode(earlier)
	if err != nil {
		return nil, fmt.Errorf("the request of %s: %w", r.Execution, err)
	}
	for _, name := range incidental {
		delete(merged, name)
	}
	merged = mergePatch(merged, r.fields).(map[string]any)
	merged["targets"] = left
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // or a large resource would be larger still
	if err := encoder.Encode(merged); err != nil {
		return nil, fmt.Errorf("the request of %s: %w", r.Execution, err)
	}
	return text.Bytes(), nil
}

// decode reads a request's fields, and keeps numbers as they are written.
func decode(raw json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	return fields, nil
}

// mergePatch applies a merge patch to a value, as RFC 7386 says in its section 2.
func mergePatch(target, patch any) any {
	fields, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	merged, _ := target.(map[string]any)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range fields {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = mergePatch(merged[name], value)
		}
	}
	return merged
}
