package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// run does what the state's type says. It returns the output and the name of
// the state that follows.
func (v *visit) run(ctx context.Context) (output json.RawMessage, next string, err error) {
	switch v.state.typ {
	case "Task":
		return v.attempts(ctx, v.task)
	case "Parallel":
		return v.attempts(ctx, v.parallel)
	case "Map":
		if v.state.distributed != nil {
			return v.attempts(ctx, v.distributedMap)
		}
		return v.attempts(ctx, v.inlineMap)
	case "Choice":
		return v.choose(ctx)
	case "Wait":
		if err := v.wait(ctx); err != nil {
			return nil, "", err
		}
	case "Fail":
		return nil, "", v.fail(ctx)
	}
	output, err = v.leave(ctx, v.ownEnds(v.input), values{})
	return output, v.state.next, err
}

// ownEnds are the Assign and Output of the state itself.
func (v *visit) ownEnds(fallback json.RawMessage) ends {
	return ends{assign: v.state.assign, output: v.state.output, fallback: fallback}
}

func (v *visit) choose(ctx context.Context) (json.RawMessage, string, error) {
	for i, c := range v.state.choices {
		field := fmt.Sprintf("Choices[%d]", i)
		yes, err := v.evalKind(ctx, field+"/Condition", c.condition, kindBoolean)
		if err != nil {
			return nil, "", err
		}
		if string(yes) == "true" {
			output, err := v.leave(ctx, ends{prefix: field + "/", assign: c.assign, output: c.output, fallback: v.input}, values{})
			return output, c.next, err
		}
	}
	if v.state.defaultNext == "" {
		return nil, "", &Error{ErrNoChoiceMatched, fmt.Sprintf(
			"An error occurred while executing the state '%s' (entered at the event id #%d). Failed to transition out of the state. The state does not point to a next state.",
			v.state.name, v.id)}
	}
	output, err := v.leave(ctx, v.ownEnds(v.input), values{})
	return output, v.state.defaultNext, err
}

func (v *visit) wait(ctx context.Context) error {
	runner := v.thread.execution.runner
	pause := runner.pause
	var d time.Duration
	if v.state.seconds != nil {
		seconds, err := v.evalInteger(ctx, "Seconds", v.state.seconds, 0, 99999999)
		if err != nil {
			return err
		}
		d = time.Duration(seconds) * time.Second
	} else {
		until, err := v.evalString(ctx, "Timestamp", v.state.timestamp)
		if err != nil {
			return err
		}
		at, ok := parseTimestamp(until)
		if !ok {
			return v.evalError(&fieldError{"Timestamp",
				"The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: " + until})
		}
		pause, d = runner.clock.Sleep, at.Sub(runner.clock.Now())
	}
	if d > 0 && pause(ctx, d) != nil {
		return errHalted
	}
	return nil
}

// timestampShape is RFC 3339, with the seconds left out at will. Go alone would
// also take "1:59" for a time and a comma for a decimal point.
var timestampShape = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$`)

func parseTimestamp(s string) (time.Time, bool) {
	if !timestampShape.MatchString(s) {
		return time.Time{}, false
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func (v *visit) fail(ctx context.Context) error {
	name, err := v.evalString(ctx, "Error", v.state.errorName)
	if err != nil {
		return err
	}
	cause, err := v.evalString(ctx, "Cause", v.state.cause)
	if err != nil {
		return err
	}
	return &Error{name, cause}
}

// errTaskTimedOut ends the context of a task that takes longer than its
// TimeoutSeconds, or whose heartbeat stays away.
var errTaskTimedOut = errors.New("the task has timed out")

// task makes one attempt of a Task state.
func (v *visit) task(ctx context.Context) (json.RawMessage, error) {
	s, e := v.state, v.thread.execution
	if s.resource.callback {
		v.waiting = e.runner.newCallback(e)
		defer v.waiting.close()
	}
	arguments := v.input
	var err error
	if s.arguments != nil {
		if arguments, err = v.eval(ctx, "Arguments", s.arguments, values{}); err != nil {
			return nil, err
		}
	}
	timeout, err := v.evalSeconds(ctx, "TimeoutSeconds", s.timeout)
	if err != nil {
		return nil, err
	}
	heartbeat, err := v.evalSeconds(ctx, "HeartbeatSeconds", s.heartbeat)
	if err != nil {
		return nil, err
	}
	if len(arguments) > MaxPayload {
		return nil, v.tooLarge()
	}
	if err := v.checkPartition(s.resource.arn); err != nil {
		return nil, err
	}
	v.thread.record(scheduledEvent(s.resource, e.region(), arguments, timeout, heartbeat))
	v.thread.record(startedEvent(s.resource))
	result, err := v.call(ctx, arguments, timeout, heartbeat)
	if err != nil {
		if ctx.Err() != nil {
			return nil, errHalted
		}
		failure := asError(err)
		v.thread.record(failedEvent(s.resource, failure))
		return nil, failure
	}
	v.thread.record(succeededEvent(s.resource, result))
	return result, nil
}

// checkPartition refuses a resource of another partition than the machine's. A
// definition may hold one; the state then fails.
// https://github.com/Netflix/metaflow/issues/324
func (v *visit) checkPartition(arn string) error {
	partition := func(arn string) string { return strings.Split(arn, ":")[1] }
	if partition(arn) == partition(v.thread.execution.MachineARN) {
		return nil
	}
	return &Error{ErrRuntime, fmt.Sprintf(
		"An error occurred while executing the state '%s' (entered at the event id #%d). The resource belongs to a different partition from the running execution.",
		v.state.name, v.id)}
}

// evalSeconds evaluates an optional number of seconds.
func (v *visit) evalSeconds(ctx context.Context, field string, t *template) (*int64, error) {
	if t == nil {
		return nil, nil
	}
	seconds, err := v.evalInteger(ctx, field, t, 1, 99999999)
	return &seconds, err
}

// call runs the task within its time and its size. Only a task that waits for an
// answer has heartbeats.
func (v *visit) call(ctx context.Context, arguments json.RawMessage, timeout, heartbeat *int64) (json.RawMessage, error) {
	e := v.thread.execution
	if timeout != nil {
		limit := time.Duration(*timeout) * time.Second
		if v.waiting != nil {
			limit = e.runner.shorten(limit)
		}
		var cancel context.CancelFunc
		ctx, cancel = withTimeout(ctx, e.runner.clock, limit, errTaskTimedOut)
		defer cancel()
	}
	task := Task{
		Resource: v.state.resource.arn, Arguments: arguments, RoleARN: e.RoleARN, MachineARN: e.MachineARN,
		ExecutionARN: e.ARN, State: v.state.name, RetryCount: v.retries,
	}
	if v.waiting != nil {
		task.Token = v.waiting.token
	}
	result, err := e.runner.tasks.Run(ctx, task)
	if v.waiting != nil && err == nil {
		v.thread.record(submittedEvent(v.state.resource, result))
		result, err = v.waiting.answer(ctx, e.runner.clock, heartbeat)
	}
	if errors.Is(err, errTaskTimedOut) || err != nil && errors.Is(context.Cause(ctx), errTaskTimedOut) {
		return nil, &Error{Name: ErrTimeout}
	}
	if err != nil {
		return nil, err
	}
	if result, err = compact(result); err != nil {
		return nil, &Error{ErrRuntime, fmt.Sprintf("the result of the task '%s' is %v", v.state.name, err)}
	}
	if len(result) > MaxPayload {
		return nil, v.tooLarge()
	}
	return result, nil
}
