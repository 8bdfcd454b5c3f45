package asl

import (
	"encoding/json"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// maxEvents is the limit of an execution's history.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const maxEvents = 25_000

// history is the list of an execution's events. Several lines of control
// write to it.
type history struct {
	clock Clock

	mu     sync.Mutex
	events []types.HistoryEvent
}

// add completes the event with its id and time and returns the id.
func (h *history) add(previous int64, ev types.HistoryEvent) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	ev.Id = int64(len(h.events) + 1)
	ev.PreviousEventId = previous
	ev.Timestamp = aws.Time(h.clock.Now())
	h.events = append(h.events, ev)
	return ev.Id
}

// full says whether the execution has as many events as AWS allows, less a few
// to end it with.
func (h *history) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events) >= maxEvents-10
}

func (h *history) list() []types.HistoryEvent {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// count is the API's type for a number of items.
func count(n int) int32 { return int32(min(n, math.MaxInt32)) }

// text is a pointer to s, or nil for "": AWS leaves empty details out.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func payload(raw json.RawMessage) *string { return aws.String(string(raw)) }

func whole() *types.HistoryEventExecutionDataDetails {
	return &types.HistoryEventExecutionDataDetails{Truncated: false}
}

func stateEvent(typ, what string) types.HistoryEventType {
	return types.HistoryEventType(typ + "State" + what)
}

func enteredEvent(s *state, input json.RawMessage) types.HistoryEvent {
	return types.HistoryEvent{
		Type: stateEvent(s.typ, "Entered"),
		StateEnteredEventDetails: &types.StateEnteredEventDetails{
			Name: aws.String(s.name), Input: payload(input), InputDetails: whole(),
		},
	}
}

func exitedEvent(s *state, output json.RawMessage, assigned map[string]json.RawMessage) types.HistoryEvent {
	details := &types.StateExitedEventDetails{Name: aws.String(s.name), Output: payload(output), OutputDetails: whole()}
	if len(assigned) > 0 {
		details.AssignedVariables = map[string]string{}
		for name, value := range assigned {
			details.AssignedVariables[name] = string(value)
		}
		details.AssignedVariablesDetails = &types.AssignedVariablesDetails{Truncated: false}
	}
	return types.HistoryEvent{Type: stateEvent(s.typ, "Exited"), StateExitedEventDetails: details}
}

// scheduledEvent announces a task's work, in the form of its resource.
func scheduledEvent(r *resource, region string, arguments json.RawMessage, timeout, heartbeat *int64) types.HistoryEvent {
	if r.function {
		return types.HistoryEvent{
			Type: types.HistoryEventTypeLambdaFunctionScheduled,
			LambdaFunctionScheduledEventDetails: &types.LambdaFunctionScheduledEventDetails{
				Resource: aws.String(r.arn), Input: payload(arguments), InputDetails: whole(), TimeoutInSeconds: timeout,
			},
		}
	}
	return types.HistoryEvent{
		Type: types.HistoryEventTypeTaskScheduled,
		TaskScheduledEventDetails: &types.TaskScheduledEventDetails{
			Resource: aws.String(r.api), ResourceType: aws.String(r.typ), Region: aws.String(region),
			Parameters: payload(arguments), TimeoutInSeconds: timeout, HeartbeatInSeconds: heartbeat,
		},
	}
}

func startedEvent(r *resource) types.HistoryEvent {
	if r.function {
		return types.HistoryEvent{Type: types.HistoryEventTypeLambdaFunctionStarted}
	}
	return types.HistoryEvent{
		Type:                    types.HistoryEventTypeTaskStarted,
		TaskStartedEventDetails: &types.TaskStartedEventDetails{Resource: aws.String(r.api), ResourceType: aws.String(r.typ)},
	}
}

// submittedEvent tells that a task waits for an answer from now on.
func submittedEvent(r *resource, output json.RawMessage) types.HistoryEvent {
	return types.HistoryEvent{
		Type: types.HistoryEventTypeTaskSubmitted,
		TaskSubmittedEventDetails: &types.TaskSubmittedEventDetails{
			Resource: aws.String(r.api), ResourceType: aws.String(r.typ), Output: payload(output), OutputDetails: whole(),
		},
	}
}

func succeededEvent(r *resource, output json.RawMessage) types.HistoryEvent {
	if r.function {
		return types.HistoryEvent{
			Type: types.HistoryEventTypeLambdaFunctionSucceeded,
			LambdaFunctionSucceededEventDetails: &types.LambdaFunctionSucceededEventDetails{
				Output: payload(output), OutputDetails: whole(),
			},
		}
	}
	return types.HistoryEvent{
		Type: types.HistoryEventTypeTaskSucceeded,
		TaskSucceededEventDetails: &types.TaskSucceededEventDetails{
			Resource: aws.String(r.api), ResourceType: aws.String(r.typ), Output: payload(output), OutputDetails: whole(),
		},
	}
}

func failedEvent(r *resource, failure *Error) types.HistoryEvent {
	name, cause := text(failure.Name), text(failure.Cause)
	switch {
	case r.function && failure.Name == ErrTimeout:
		return types.HistoryEvent{
			Type:                               types.HistoryEventTypeLambdaFunctionTimedOut,
			LambdaFunctionTimedOutEventDetails: &types.LambdaFunctionTimedOutEventDetails{Error: name, Cause: cause},
		}
	case r.function:
		return types.HistoryEvent{
			Type:                             types.HistoryEventTypeLambdaFunctionFailed,
			LambdaFunctionFailedEventDetails: &types.LambdaFunctionFailedEventDetails{Error: name, Cause: cause},
		}
	case failure.Name == ErrTimeout:
		return types.HistoryEvent{
			Type: types.HistoryEventTypeTaskTimedOut,
			TaskTimedOutEventDetails: &types.TaskTimedOutEventDetails{
				Resource: aws.String(r.api), ResourceType: aws.String(r.typ), Error: name, Cause: cause,
			},
		}
	default:
		return types.HistoryEvent{
			Type: types.HistoryEventTypeTaskFailed,
			TaskFailedEventDetails: &types.TaskFailedEventDetails{
				Resource: aws.String(r.api), ResourceType: aws.String(r.typ), Error: name, Cause: cause,
			},
		}
	}
}

// endEvent is the last event of an execution.
func endEvent(end End) types.HistoryEvent {
	name, cause := text(end.Failure.Name), text(end.Failure.Cause)
	switch end.Status {
	case types.ExecutionStatusSucceeded:
		return types.HistoryEvent{
			Type: types.HistoryEventTypeExecutionSucceeded,
			ExecutionSucceededEventDetails: &types.ExecutionSucceededEventDetails{
				Output: payload(end.Output), OutputDetails: whole(),
			},
		}
	case types.ExecutionStatusTimedOut:
		return types.HistoryEvent{
			Type:                          types.HistoryEventTypeExecutionTimedOut,
			ExecutionTimedOutEventDetails: &types.ExecutionTimedOutEventDetails{Error: name, Cause: cause},
		}
	case types.ExecutionStatusAborted:
		return types.HistoryEvent{
			Type:                         types.HistoryEventTypeExecutionAborted,
			ExecutionAbortedEventDetails: &types.ExecutionAbortedEventDetails{Error: name, Cause: cause},
		}
	default:
		return types.HistoryEvent{
			Type:                        types.HistoryEventTypeExecutionFailed,
			ExecutionFailedEventDetails: &types.ExecutionFailedEventDetails{Error: name, Cause: cause},
		}
	}
}

// timestamp writes a time as the result files do.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// contextTime writes a time as the context object does, which leaves a fraction
// of zero out.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html#contextobject-format
func contextTime(t time.Time) string {
	if t = t.UTC().Truncate(time.Millisecond); t.Nanosecond() == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return timestamp(t)
}
