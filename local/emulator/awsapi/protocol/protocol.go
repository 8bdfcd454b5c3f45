package protocol

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
)

// Error is an AWS API error. SDKs tell errors apart by Code; people read
// Message.
type Error struct {
	Code    string
	Message string
	// Status is the HTTP status; 0 means 400.
	Status int
	// Fields are further members of the error, such as Lambda's Reason.
	Fields map[string]string
}

// Errorf returns an error with the code and status, its message formatted.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Status: status, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Protocol is one of AWS's wire protocols, as far as errors go.
type Protocol int

const (
	// RESTJSON is restJson1: EKS, Lambda.
	RESTJSON Protocol = iota
	// RESTXML is restXml: S3.
	RESTXML
	// Query is awsQuery: STS, IAM.
	Query
	// JSON is awsJson1_0 and awsJson1_1: Step Functions, EventBridge, Organizations.
	JSON
)

// Of guesses the protocol of a service that is not served here from the
// request's content type.
func Of(r *http.Request) Protocol {
	switch contentType := r.Header.Get("Content-Type"); {
	case strings.HasPrefix(contentType, "application/x-amz-json-1."):
		return JSON
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		return Query
	}
	return RESTJSON
}

// AccessDenied returns a refusal by IAM as the services of the protocol name it.
func (p Protocol) AccessDenied(err error) *Error {
	switch p {
	case RESTXML, Query:
		return Errorf(http.StatusForbidden, "AccessDenied", "%v", err)
	case JSON:
		return Errorf(http.StatusBadRequest, "AccessDeniedException", "%v", err)
	}
	return Errorf(http.StatusForbidden, "AccessDeniedException", "%v", err)
}

// unsupported is the error for an operation that the endpoint does not support,
// as the services of the protocol name one that they do not know.
func (p Protocol) unsupported(service, operation string) *Error {
	status, code := http.StatusNotFound, "UnknownOperationException"
	switch p {
	case RESTXML:
		status, code = http.StatusNotImplemented, "NotImplemented"
	case Query:
		status, code = http.StatusBadRequest, "InvalidAction"
	case JSON:
		status = http.StatusBadRequest
	}
	return Errorf(status, code, "The operation %s of %s is not supported by this endpoint", operation, service)
}

const requestIDHeader = "X-Amzn-Requestid"

// WriteError answers r with err. An error that is no [Error] is an
// InternalFailure, as a bug in a service would be.
func (p Protocol) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalFailure", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	id := w.Header().Get(requestIDHeader)
	if id == "" { // of a request that was not authenticated
		id = uuid.NewString()
		w.Header().Set(requestIDHeader, id)
	}
	contentType, body := p.encode(r, e, id)
	w.Header().Set("Content-Type", contentType)
	if p == RESTJSON {
		w.Header().Set("X-Amzn-ErrorType", e.Code)
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone; nobody is left to tell
	}
}

func (p Protocol) encode(r *http.Request, e *Error, requestID string) (contentType string, body []byte) {
	switch p {
	case RESTXML:
		return "application/xml", marshalXML(s3Error{Code: e.Code, Message: e.Message, RequestID: requestID, Resource: r.URL.Path})
	case Query:
		detail := queryError{Type: "Sender", Code: e.Code, Message: e.Message}
		if WantsJSON(r) {
			return "application/json", marshalJSON(map[string]any{"Error": detail, "RequestId": requestID})
		}
		return "text/xml", marshalXML(queryErrorResponse{Error: detail, RequestID: requestID})
	}
	members := map[string]any{"message": e.Message}
	for name, value := range e.Fields {
		members[name] = value
	}
	if p == JSON {
		members["__type"] = e.Code
		return "application/x-amz-json-1.0", marshalJSON(members)
	}
	return "application/json", marshalJSON(members)
}

// WantsJSON reports whether a query-protocol client asked for JSON, which STS
// answers although its protocol is XML. EKS's token check relies on it.
func WantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string `xml:",omitempty"`
	RequestID string `xml:"RequestId"`
}

type queryErrorResponse struct {
	XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
	Error     queryError
	RequestID string `xml:"RequestId"`
}

type queryError struct {
	Type    string
	Code    string
	Message string
}

// The values marshalled here are structs and string maps, which never fail.
func marshalXML(v any) []byte {
	body, _ := xml.Marshal(v)
	return append([]byte(xml.Header), body...)
}

func marshalJSON(v any) []byte {
	body, _ := json.Marshal(v)
	return body
}
