package asl

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// Archive keeps what executions that have ended leave behind, so that a runner's
// memory holds only what is under way. It is safe for concurrent use.
type Archive interface {
	// Put keeps the data, and says where it begins.
	Put(data []byte) (at int64, err error)
	// Get returns length bytes of what was put.
	Get(at int64, length int) ([]byte, error)
}

// archived is where an archive has an execution's input, output and events, one
// behind the other.
type archived struct {
	at                    int64
	input, output, events int // bytes
}

// archive moves an execution that has ended out of memory. What cannot be moved
// stays there.
func (e *Execution) archive() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.runner.archive == nil {
		return
	}
	events := encode(storedEvents(e.history.list()))
	at, err := e.runner.archive.Put(slices.Concat(e.input, e.output, events))
	if err != nil {
		return
	}
	e.archived = &archived{at: at, input: len(e.input), output: len(e.output), events: len(events)}
	e.input, e.output = nil, nil
	e.history.forget()
}

// Payloads returns the input and, of an execution that has succeeded, the output.
func (e *Execution) Payloads() (input, output json.RawMessage, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.archived
	if at == nil {
		return e.input, e.output, nil
	}
	both, err := e.runner.archive.Get(at.at, at.input+at.output)
	if err != nil {
		return nil, nil, fmt.Errorf("read the payloads of %s: %w", e.ARN, err)
	}
	if at.output > 0 {
		output = both[at.input:]
	}
	return both[:at.input:at.input], output, nil
}

// History returns the events so far.
func (e *Execution) History() ([]types.HistoryEvent, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.archived
	if at == nil {
		return e.history.list(), nil
	}
	data, err := e.runner.archive.Get(at.at+int64(at.input+at.output), at.events)
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", e.ARN, err)
	}
	var events []types.HistoryEvent
	if err := json.Unmarshal(data, &events); err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", e.ARN, err)
	}
	return events, nil
}

// eventFields are the fields of an event. It has 40 kinds of details, and uses one.
var eventFields = slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[types.HistoryEvent]()), func(f reflect.StructField) bool { return !f.IsExported() })

// storedEvents leaves out what is not set.
func storedEvents(events []types.HistoryEvent) []map[string]any {
	stored := make([]map[string]any, len(events))
	for i := range events {
		stored[i] = map[string]any{}
		value := reflect.ValueOf(&events[i]).Elem()
		for _, field := range eventFields {
			if set := value.FieldByIndex(field.Index); !set.IsZero() {
				stored[i][field.Name] = set.Interface()
			}
		}
	}
	return stored
}
