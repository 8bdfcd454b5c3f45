package lambda

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// Limits of a synchronous invocation.
// docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	maxRequest  = 6 << 20
	maxResponse = 6<<20 + 100
)

// runtimeAPI is what the function's process talks to.
// docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func (sb *sandbox) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", sb.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", sb.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", sb.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", sb.initFailure)
	return mux
}

func (sb *sandbox) next(w http.ResponseWriter, r *http.Request) {
	select {
	case sb.waiting <- struct{}{}:
	default: // one is noted already
	}
	var inv *invocation
	select {
	case inv = <-sb.invocations:
	case <-r.Context().Done():
		return
	}
	sb.mu.Lock()
	sb.current, sb.calls = inv, 0
	sb.mu.Unlock()
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.requestID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", inv.functionARN)
	h.Set("Lambda-Runtime-Trace-Id", inv.traceID)
	if inv.clientContext != "" {
		h.Set("Lambda-Runtime-Client-Context", inv.clientContext)
	}
	_, _ = w.Write(inv.payload) // a process that is gone is noticed by its exit
}

func (sb *sandbox) response(w http.ResponseWriter, r *http.Request) {
	inv, ok := sb.take(w, r)
	if !ok {
		return
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	if err != nil {
		return // the process died in the middle; its exit is the answer
	}
	if len(payload) > maxResponse {
		inv.result <- functionError("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (%d bytes).", maxResponse)
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "Exceeded maximum allowed payload size")
		return
	}
	// The Go runtime notices a broken response stream late and says so in a trailer.
	if errorType := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); errorType != "" {
		inv.result <- functionError(errorType, "the function's response ended early")
	} else {
		inv.result <- result{payload: payload}
	}
	accept(w)
}

func (sb *sandbox) failure(w http.ResponseWriter, r *http.Request) {
	inv, ok := sb.take(w, r)
	if !ok {
		return
	}
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		return // the process died in the middle; its exit is the answer
	}
	inv.result <- result{payload: payload, failed: true}
	accept(w)
}

func (sb *sandbox) initFailure(w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(io.LimitReader(r.Body, maxResponse))
	if err != nil {
		return
	}
	select {
	case sb.initError <- result{payload: payload, failed: true}:
	default: // told already
	}
	accept(w)
}

// take claims the current invocation, which can be answered once.
func (sb *sandbox) take(w http.ResponseWriter, r *http.Request) (*invocation, bool) {
	sb.mu.Lock()
	inv := sb.current
	known := inv != nil && inv.requestID == r.PathValue("id")
	if known {
		sb.current = nil
	}
	sb.mu.Unlock()
	if !known {
		refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
	}
	return inv, known
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`) // see next
}

func refuse(w http.ResponseWriter, status int, errorType, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"errorType": errorType, "errorMessage": message}) // see next
}
