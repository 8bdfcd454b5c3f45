package protocol

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Targets are the operations of a service of the [JSON] protocol. Its requests name
// theirs in the header X-Amz-Target: the prefix, a dot, the operation.
type Targets struct {
	// Prefix is the service's in the header, such as AWSStepFunctions.
	Prefix string
	// Service is its name in IAM actions, such as states.
	Service string
	// Version is the protocol's: 1.0 or 1.1.
	Version string
	// Marshal writes an answer; nil is package json.
	Marshal  func(any) ([]byte, error)
	Handlers map[string]Handler
}

// Handler answers a request with that body.
type Handler func(r *Request, body []byte) (any, error)

// Handle makes a handler of a function on types that package json reads.
func Handle[In, Out any](f func(r *Request, in *In) (*Out, error)) Handler {
	return func(r *Request, body []byte) (any, error) {
		in := new(In)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, Errorf(http.StatusBadRequest, "SerializationException", "%v", err)
		}
		return f(r, in)
	}
}

// maxTargetBody bounds the body of a request: the largest is a definition of 1 MB, escaped.
const maxTargetBody = 4 << 20

// Operation is the one that a request asks for.
func (t Targets) Operation(r *http.Request) Operation {
	prefix, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	handler := t.Handlers[name]
	if prefix != t.Prefix || handler == nil {
		return Operation{Name: name}
	}
	return Operation{Name: name, Action: t.Service + ":" + name, Serve: func(w http.ResponseWriter, r *Request) error {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTargetBody))
		if err != nil {
			return Errorf(http.StatusBadRequest, "SerializationException", "reading the request: %v", err)
		}
		out, err := handler(r, body)
		if err != nil {
			return err
		}
		marshal := t.Marshal
		if marshal == nil {
			marshal = json.Marshal
		}
		answer, err := marshal(out)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", "application/x-amz-json-"+t.Version)
		_, _ = w.Write(answer) // the client is gone; nobody is left to tell
		return nil
	}}
}
