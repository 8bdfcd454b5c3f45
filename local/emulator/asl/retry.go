package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// attempts runs a Task, Parallel or Map state until it succeeds, its Retry is
// exhausted, or its Catch takes over. How often each retrier has been used is
// known here alone: a definition is shared by all executions.
func (v *visit) attempts(ctx context.Context, attempt func(context.Context) (json.RawMessage, error)) (json.RawMessage, string, error) {
	used := make([]int, len(v.state.retry))
	for {
		result, err := attempt(ctx)
		if err == nil {
			var output json.RawMessage
			if output, err = v.leave(ctx, v.ownEnds(result), values{result: result}); err == nil {
				return output, v.state.next, nil
			}
		}
		var failure *Error
		if !errors.As(err, &failure) {
			return nil, "", errHalted
		}
		if again, delay := v.retrier(used, failure); again {
			v.closeFailed(true)
			if v.thread.execution.runner.pause(ctx, delay) != nil {
				return nil, "", errHalted
			}
			v.retries++
			continue
		}
		for i, c := range v.state.catch {
			if matches(c.errorEquals, failure.Name) {
				v.closeFailed(true)
				return v.caught(ctx, i, c, failure)
			}
		}
		v.closeFailed(false)
		return nil, "", failure
	}
}

// closeFailed records that an attempt of a fork has failed. AWS leaves the
// event out where a Parallel state goes on with Retry or Catch.
func (v *visit) closeFailed(handled bool) {
	switch {
	case v.state.typ == "Map":
		v.thread.recordType(types.HistoryEventTypeMapStateFailed)
	case v.state.typ == "Parallel" && !handled:
		v.thread.recordType(types.HistoryEventTypeParallelStateFailed)
	}
}

// retrier says whether to try again, and after which pause.
func (v *visit) retrier(used []int, failure *Error) (bool, time.Duration) {
	for i, r := range v.state.retry {
		if !matches(r.errorEquals, failure.Name) {
			continue
		}
		if used[i] >= r.maxAttempts {
			return false, 0
		}
		delay := r.delay(used[i])
		if r.fullJitter {
			delay = time.Duration(v.thread.execution.runner.randomFloat() * float64(delay))
		}
		used[i]++
		return true, delay
	}
	return false, 0
}

// delay is the pause before retry number n, from 0.
func (r *retrier) delay(n int) time.Duration {
	const longest = 99999999 * time.Second
	delay := float64(r.interval) * math.Pow(r.backoff, float64(n))
	if r.maxDelay > 0 {
		delay = min(delay, float64(r.maxDelay))
	}
	return time.Duration(min(delay, float64(longest)))
}

func (v *visit) caught(ctx context.Context, i int, c *catcher, failure *Error) (json.RawMessage, string, error) {
	seen := errorOutput(failure)
	output, err := v.leave(ctx,
		ends{prefix: fmt.Sprintf("Catch[%d]/", i), assign: c.assign, output: c.output, fallback: seen},
		values{errorOutput: seen})
	return output, c.next, err
}
