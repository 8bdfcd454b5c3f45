package asl

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// Callback is an attempt of a Task state that waits, or has waited, for an answer to
// its token. All methods are safe for concurrent use; they return false when nobody
// waits any more.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html#connect-wait-token
type Callback struct {
	// MachineARN is that of the state machine; a Map's children have their parent's.
	MachineARN string

	token   string
	answers chan answer   // holds one
	beats   chan struct{} // holds one

	mu     sync.Mutex
	closed bool
}

// answer is how whoever was given the token ends the task.
type answer struct {
	output  json.RawMessage
	failure *Error
}

// callbacks are all that a runner has made, by token: who answers too late is told so.
type callbacks struct {
	mu      sync.Mutex
	byToken map[string]*Callback
}

// tokenBytes is the length of a token before it is encoded.
const tokenBytes = 64

// IsToken says whether text has the form of a token.
func IsToken(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(raw) == tokenBytes
}

// Callback finds who was given a token, or nil.
func (r *Runner) Callback(token string) *Callback {
	r.callbacks.mu.Lock()
	defer r.callbacks.mu.Unlock()
	return r.callbacks.byToken[token]
}

// newCallback makes a token that cannot be guessed.
func (r *Runner) newCallback(e *Execution) *Callback {
	raw := make([]byte, tokenBytes)
	r.randMu.Lock()
	_, _ = r.rand.Read(raw) // never fails
	r.randMu.Unlock()
	machine, _, _ := strings.Cut(e.MachineARN, "/")
	c := &Callback{
		MachineARN: machine, token: base64.StdEncoding.EncodeToString(raw),
		answers: make(chan answer, 1), beats: make(chan struct{}, 1),
	}
	r.callbacks.mu.Lock()
	defer r.callbacks.mu.Unlock()
	if r.callbacks.byToken == nil {
		r.callbacks.byToken = map[string]*Callback{}
	}
	r.callbacks.byToken[c.token] = c
	return c
}

// Succeed gives the task its result, which must be JSON.
func (c *Callback) Succeed(output json.RawMessage) bool { return c.settle(answer{output: output}) }

// Fail ends the task with an error and a cause, both of which may be empty.
func (c *Callback) Fail(name, cause string) bool {
	return c.settle(answer{failure: &Error{name, cause}})
}

// Heartbeat begins the time of HeartbeatSeconds anew.
func (c *Callback) Heartbeat() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	select {
	case c.beats <- struct{}{}:
	default: // the one before has not been seen yet
	}
	return true
}

func (c *Callback) settle(a answer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.closed = true
	c.answers <- a
	return true
}

// close ends the wait. It returns false when it has been ended before.
func (c *Callback) close() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.closed
	c.closed = true
	return !was
}

// answer waits until somebody answers, ctx ends, or a heartbeat stays away for so many
// seconds. AWS was seen to call that States.Timeout too, not States.HeartbeatTimeout.
// https://github.com/localstack/localstack: test_heartbeats.snapshot.json
func (c *Callback) answer(ctx context.Context, clock Clock, heartbeat *int64) (json.RawMessage, error) {
	for {
		beating, cancel := ctx, context.CancelFunc(func() {})
		if heartbeat != nil {
			beating, cancel = withTimeout(ctx, clock, time.Duration(*heartbeat)*time.Second, errTaskTimedOut)
		}
		select {
		case a := <-c.answers:
			cancel()
			return a.result()
		case <-c.beats:
			cancel()
		case <-beating.Done():
			cause := context.Cause(beating)
			cancel()
			if c.close() {
				return nil, cause
			}
			return (<-c.answers).result() // it came in time
		}
	}
}

func (a answer) result() (json.RawMessage, error) {
	if a.failure != nil {
		return nil, a.failure
	}
	return a.output, nil
}
