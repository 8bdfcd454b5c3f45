package request

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mergepatch"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/regions"
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
var retriedFields = []string{"resource", "resources", "resourceFrom", "targets", "targetsFrom", "exclude", "operation"}

// RetryOf reads a request as a retry: nil where it stands for itself, and is to be
// read by [Parse]. execution is the ARN of the execution whose input it is.
func RetryOf(raw json.RawMessage, execution string) (*Retry, field.ErrorList) {
	given, fields, problems := earlier(raw, "retry")
	if given == nil {
		return nil, problems
	}
	for _, name := range append([]string{"rollback"}, retriedFields...) {
		if fields[name] != nil {
			problems = append(problems, field.Forbidden(field.NewPath(name), "a retry takes it from the earlier execution"))
		}
		delete(fields, name)
	}
	delete(fields, "retry")
	name, more := checkEarlier(given.Retry.Execution, execution, field.NewPath("retry", "execution"))
	return &Retry{Execution: given.Retry.Execution, Name: name, fields: fields}, append(problems, more...)
}

// earlier reads a request that names an earlier execution in a field: nil where it does
// not.
func earlier(raw json.RawMessage, name string) (*contract.Request, map[string]any, field.ErrorList) {
	fields, err := decode(raw)
	if err != nil || fields[name] == nil {
		return nil, nil, nil // Parse says what is wrong with it
	}
	var given contract.Request
	if problems := strictjson.Unmarshal(raw, &given, nil, "request"); len(problems) > 0 {
		return nil, nil, problems
	}
	return &given, fields, nil
}

// checkEarlier checks the ARN of an earlier execution, and returns its name.
func checkEarlier(arn, execution string, path *field.Path) (name string, problems field.ErrorList) {
	ours := execution[:strings.LastIndex(execution, ":")+1] // of all executions of the state machine
	_, name, err := contract.ParseExecution(arn)
	switch {
	case err != nil || ours+name != arn:
		problems = append(problems, field.Invalid(path, fault.Shorten(arn, 200), "must be the ARN of an execution of this state machine: "+ours+"..."))
	case arn == execution:
		problems = append(problems, field.Invalid(path, arn, "is this execution itself"))
	}
	return name, problems
}

// Refusal is the error of an execution whose request, merged of the earlier one
// and the retry's own fields, is refused.
func (r Retry) Refusal(problems field.ErrorList) error {
	return refusal("the request of "+r.Execution+", with the fields given here, is invalid", problems)
}

// Request returns the request that the retry stands for: the earlier one, for what is
// left of its targets, with the retry's own fields merged in. again are selectors of
// which nothing is known yet, not even what of them is excluded. Its fields are not
// checked yet.
func (r Retry) Request(earlier json.RawMessage, left, again []contract.TargetSelector) (json.RawMessage, error) {
	merged, err := decode(earlier)
	if err != nil {
		return nil, fmt.Errorf("the request of %s: %w", r.Execution, err)
	}
	taken := append([]string{"targetsFrom"}, incidental...)
	if len(again) == 0 {
		taken = append(taken, "exclude") // what was excluded is not among those that are left
	}
	for _, name := range taken {
		delete(merged, name)
	}
	merged = mergepatch.Apply(merged, r.fields).(map[string]any)
	merged["targets"] = slices.Concat(left, again)
	text, err := encode(merged)
	if err != nil {
		return nil, fmt.Errorf("the request of %s: %w", r.Execution, err)
	}
	return text, nil
}

// Parse reads and checks the request that the retry stands for, as [Parse] does. Waves
// take what is left, so a target can come to another wave than before: one that none
// takes goes last, and what matches nothing is no mistake.
func (r Retry) Parse(raw json.RawMessage, scope regions.Scope) (Parsed, field.ErrorList) {
	parsed, problems := Parse(raw, scope, nil)
	parsed.Lenient, parsed.Rollout.Unmatched = true, contract.UnmatchedLast
	return parsed, problems
}

// Rollback is a request to bring back what an earlier execution changed.
type Rollback struct {
	// Execution is the ARN of the earlier execution, and Name its name.
	Execution, Name string
	// Parsed is how to do so. It has neither resources nor targets, and its waves are
	// to be replaced by those of the earlier execution.
	Parsed Parsed
}

// besideRollback are the fields of a request that may stand beside rollback.
var besideRollback = append([]string{"rollback", "rollout", "labels", "plan"}, incidental...)

// RollbackOf reads a request as a rollback: nil where it is none. execution is the ARN
// of the execution whose input it is.
func RollbackOf(raw json.RawMessage, execution string) (*Rollback, field.ErrorList) {
	given, fields, problems := earlier(raw, "rollback")
	if given == nil {
		return nil, problems
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != nil && !slices.Contains(besideRollback, name) {
			problems = append(problems, field.Forbidden(field.NewPath(name), "a rollback takes it from the earlier execution"))
		}
	}
	name, more := checkEarlier(given.Rollback.Execution, execution, field.NewPath("rollback", "execution"))
	problems = append(problems, more...)

	p := parser{Parsed: Parsed{Operation: operation.Rollback}}
	p.Apply, p.Ready = p.apply(nil, nil), p.ready(nil, nil)
	path := field.NewPath("rollout")
	p.Rollout = p.rollout(given.Rollout, path)
	p.labels(*given)
	if given.Rollout != nil {
		for _, refused := range []struct {
			name, why string
			given     bool
		}{
			{"waves", "they are those of the earlier execution, the last one first", given.Rollout.Waves != nil},
			{"unmatched", "the waves are those of the earlier execution", given.Rollout.Unmatched != ""},
			{"bakeSeconds", "a rollback leaves nothing whose Ready could be checked after a bake time", given.Rollout.BakeSeconds > 0},
			{"onFailure", "a rollback is not rolled back", given.Rollout.OnFailure == contract.OnFailureRollback},
		} {
			if refused.given {
				p.add(field.Forbidden(path.Child(refused.name), refused.why))
			}
		}
	}
	return &Rollback{Execution: given.Rollback.Execution, Name: name, Parsed: p.Parsed}, append(problems, p.problems...)
}

// Pinned returns a request with the digests of what it names in the run bucket, so that
// a retry of it has the same or is refused.
func Pinned(raw json.RawMessage, parsed Parsed) (json.RawMessage, error) {
	fields, err := decode(raw)
	if err != nil {
		return nil, err
	}
	if len(parsed.Inputs()) == 0 {
		return raw, nil
	}
	if parsed.ResourceFrom != nil {
		fields["resourceFrom"] = parsed.ResourceFrom
	}
	if parsed.TargetsFrom != nil {
		fields["targetsFrom"] = parsed.TargetsFrom
	}
	return encode(fields)
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

func encode(fields map[string]any) (json.RawMessage, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // or a large resource would be larger still
	if err := encoder.Encode(fields); err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return text.Bytes(), nil
}
