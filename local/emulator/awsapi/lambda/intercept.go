package lambda

import (
	"maps"
	"net/http"
	"slices"
)

// Call is an HTTP request that a function's process makes to AWS or, where
// requests to Kubernetes come through [Service.Intercept] too, to an API server.
type Call struct {
	// Function is the function's name.
	Function string
	// Invocation is the request id of the invocation that it belongs to, and Event
	// the payload of that; both are empty outside of one. N counts the invocation's
	// calls, from 1.
	Invocation, Event string
	N                 int
	// Service and Operation are what is called: "s3" and "PutObject", or
	// "kubernetes" and "PATCH /api/v1/namespaces/...".
	Service, Operation string
	// Done is false before the call is handled, and true when it has been and
	// its answer (of a watch: the head of it) is about to be sent.
	Done bool
}

// OnCall has hook asked twice about each call that functions make from now on.
// Where it returns true the process of the function is killed: what was not
// handled yet never is, and what was is not answered. Whoever invoked the function
// gets Runtime.ExitError. Nil takes the hook away. It is called from several
// goroutines at a time.
func (s *Service) OnCall(hook func(Call) (kill bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// KillAny kills the process of a function, busy or idle, and returns when it is
// gone: the one of n that pick returns, from 0. Where no process runs it returns
// false.
func (s *Service) KillAny(pick func(n int) int) bool {
	s.mu.Lock()
	running := slices.Collect(maps.Values(s.sandboxes))
	s.mu.Unlock()
	if len(running) == 0 {
		return false
	}
	sb := running[pick(len(running))]
	sb.process.Kill()
	<-sb.exited
	return true
}

// Intercept has handle answer a request, with the hook of [Service.OnCall] around
// it where a function made the request: one whose chain of sessions began with the
// access key source (see [iam.Caller]). Where the function is killed it panics with
// [http.ErrAbortHandler].
func (s *Service) Intercept(source, service, operation string, w http.ResponseWriter, handle func(http.ResponseWriter)) {
	s.mu.Lock()
	sb, hook := s.sandboxes[source], s.hook
	s.mu.Unlock()
	if sb == nil || hook == nil {
		handle(w)
		return
	}
	call := sb.count(Call{Function: sb.function.Name, Service: service, Operation: operation})
	ask := func() {
		if hook(call) {
			sb.process.Kill()
			panic(http.ErrAbortHandler)
		}
	}
	ask()
	call.Done = true
	held := &heldWriter{ResponseWriter: w, begin: ask}
	handle(held)
	held.send() // an answer that nothing was written of
}

// count numbers a call within the invocation that the process works on.
func (sb *sandbox) count(call Call) Call {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.calls++
	call.N = sb.calls
	if sb.current != nil {
		call.Invocation, call.Event = sb.current.requestID, string(sb.current.payload)
	}
	return call
}

// heldWriter calls begin before anything is sent.
type heldWriter struct {
	http.ResponseWriter
	begin func()
	begun bool
}

func (h *heldWriter) send() {
	if !h.begun {
		h.begun = true
		h.begin()
	}
}

func (h *heldWriter) WriteHeader(status int) {
	h.send()
	h.ResponseWriter.WriteHeader(status)
}

func (h *heldWriter) Write(data []byte) (int, error) {
	h.send()
	return h.ResponseWriter.Write(data)
}

// Unwrap lets [http.ResponseController] flush.
func (h *heldWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }
