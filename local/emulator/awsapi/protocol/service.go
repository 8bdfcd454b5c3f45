package protocol

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"

	"github.com/google/uuid"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// Service is an AWS service of the local endpoint.
type Service interface {
	// Name is the one that requests are signed for, such as "states".
	Name() string
	// Protocol is the wire protocol, which decides how an error is written.
	Protocol() Protocol
	// Operation says which operation of the API a request asks for.
	Operation(r *http.Request) Operation
}

// Operation is one operation of a service's API.
type Operation struct {
	// Name is the API's, such as DescribeCluster, or else what the request says.
	Name string
	// Action is what [Request.Authorize] asks IAM for, such as
	// eks:DescribeCluster.
	Action string
	// Serve answers the request, or returns the error to answer with: an [Error].
	// It is nil for an operation that the endpoint does not support.
	Serve func(w http.ResponseWriter, r *Request) error
}

// Request is a request whose signature has been checked, with its body whole.
type Request struct {
	*http.Request
	// Origin is who made it.
	iam.Origin
	Operation Operation
	// ID is the request id that the answer carries.
	ID uuid.UUID

	service   Service
	directory *iam.Directory
}

// NewRequest returns a request to a service whose callers the directory knows.
func NewRequest(r *http.Request, service Service, origin iam.Origin, directory *iam.Directory) *Request {
	return &Request{
		Request: r, Origin: origin, Operation: service.Operation(r), ID: uuid.New(),
		service: service, directory: directory,
	}
}

// Authorize returns the error to answer with if the caller may not do what
// question says. An empty Action is the operation's; the Caller and the condition
// keys of every request are added.
func (r *Request) Authorize(question iam.Request) error {
	question.Caller = r.Caller
	question.Action = cmp.Or(question.Action, r.Operation.Action)
	keys := r.Conditions()
	maps.Copy(keys, question.Conditions)
	question.Conditions = keys
	if err := r.directory.Authorize(question); err != nil {
		return r.service.Protocol().AccessDenied(err)
	}
	return nil
}

// Serve answers the request.
func (r *Request) Serve(w http.ResponseWriter) {
	w.Header().Set(requestIDHeader, r.ID.String())
	wire := r.service.Protocol()
	serve := r.Operation.Serve
	if serve == nil {
		wire.WriteError(w, r.Request, wire.unsupported(r.service.Name(), r.Operation.Name))
		return
	}
	if err := serve(w, r); err != nil {
		wire.WriteError(w, r.Request, err)
	}
}

// WriteJSON answers a request of a JSON protocol.
func WriteJSON(w http.ResponseWriter, result any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(result) // the client is gone; nobody is left to tell
}
