package sigv4

import (
	"fmt"
	"net/http"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// Reason is why a signature was not accepted.
type Reason int

const (
	// Missing: the request is not signed.
	Missing Reason = iota
	// Incomplete: the signature cannot be read.
	Incomplete
	// UnknownKey: no such access key id.
	UnknownKey
	// BadToken: the session token is absent or not the one of the access key.
	BadToken
	// ExpiredToken: the session is over.
	ExpiredToken
	// Mismatch: the signature is not the one of this request and secret.
	Mismatch
	// Skewed: signed too long ago, or in the future.
	Skewed
	// Expired: a presigned URL past its X-Amz-Expires.
	Expired
	// OldVersion: signed with Signature Version 2, which S3 still accepts in its
	// oldest Regions only and which is refused here.
	OldVersion
	// HashMismatch: the body is not the one whose hash was signed.
	HashMismatch
)

// Error is returned when a request is not authentic.
type Error struct {
	Reason  Reason
	Message string
}

func (e *Error) Error() string { return e.Message }

func incomplete(format string, args ...any) error {
	return &Error{Reason: Incomplete, Message: fmt.Sprintf(format, args...)}
}

func oldVersion() error {
	return &Error{Reason: OldVersion, Message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."}
}

// For returns the error as the services of a protocol name it.
func (e *Error) For(p protocol.Protocol) *protocol.Error {
	if p == protocol.RESTXML {
		return e.forS3()
	}
	code, status := e.queryCode()
	if p == protocol.Query {
		return &protocol.Error{Code: code, Status: status, Message: e.Message}
	}
	// JSON services name the same refusals in their own words.
	code = map[string]string{
		"MissingAuthenticationToken": "MissingAuthenticationTokenException",
		"IncompleteSignature":        "IncompleteSignatureException",
		"InvalidClientTokenId":       "UnrecognizedClientException",
		"ExpiredToken":               "ExpiredTokenException",
		"SignatureDoesNotMatch":      "InvalidSignatureException",
	}[code]
	if p == protocol.JSON {
		status = http.StatusBadRequest
	}
	return &protocol.Error{Code: code, Status: status, Message: e.Message}
}

func (e *Error) queryCode() (code string, status int) {
	switch e.Reason {
	case Missing:
		return "MissingAuthenticationToken", http.StatusForbidden
	case Incomplete, OldVersion:
		return "IncompleteSignature", http.StatusBadRequest
	case UnknownKey, BadToken:
		return "InvalidClientTokenId", http.StatusForbidden
	case ExpiredToken:
		return "ExpiredToken", http.StatusForbidden
	}
	return "SignatureDoesNotMatch", http.StatusForbidden
}

func (e *Error) forS3() *protocol.Error {
	s3 := func(status int, code, message string) *protocol.Error {
		return &protocol.Error{Code: code, Status: status, Message: message}
	}
	switch e.Reason {
	case Missing:
		return s3(http.StatusForbidden, "AccessDenied", "Access Denied")
	case Incomplete:
		return s3(http.StatusBadRequest, "AuthorizationHeaderMalformed", e.Message)
	case OldVersion:
		return s3(http.StatusBadRequest, "InvalidRequest", e.Message)
	case UnknownKey:
		return s3(http.StatusForbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
	case BadToken:
		return s3(http.StatusBadRequest, "InvalidToken", "The provided token is malformed or otherwise invalid.")
	case ExpiredToken:
		return s3(http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
	case Skewed:
		return s3(http.StatusForbidden, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
	case Expired:
		return s3(http.StatusForbidden, "AccessDenied", "Request has expired")
	case HashMismatch:
		return s3(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return s3(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
}
