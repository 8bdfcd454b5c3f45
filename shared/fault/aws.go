package fault

import (
	"context"
	"errors"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// FromAWS names an error of an AWS SDK call by its error code. names maps the
// codes that mean something particular to this call; what is left is throttling
// (as the SDK's own retryer knows it), a fault of the service or of the way to
// it, or [AWSError]. doing says what was tried and on what, for the message. It
// returns nil for a nil err.
//
// The error's code and message come from AWS and are safe to show; its URL and
// request are not part of them.
func FromAWS(err error, names map[string]Name, doing string) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		if unanswered(err) {
			return Wrap(err, AWSUnavailable, "%s: no answer from AWS: %s", doing, root(err))
		}
		// Refused by the SDK itself, such as a parameter that it does not take.
		return Wrap(err, AWSError, "%s: %s", doing, root(err))
	}
	name, known := names[api.ErrorCode()]
	switch {
	case known:
	case retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err).Bool():
		name = Throttled
	case serverFault(err, api):
		name = AWSUnavailable
	default:
		name = AWSError
	}
	return Wrap(err, name, "%s: %s: %s", doing, api.ErrorCode(), api.ErrorMessage())
}

// unanswered says that a call was sent, or was to be, but no answer came.
func unanswered(err error) bool {
	var send *smithyhttp.RequestSendError
	var network net.Error
	return errors.As(err, &send) || errors.As(err, &network) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

func serverFault(err error, api smithy.APIError) bool {
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode() >= 500
	}
	return api.ErrorFault() == smithy.FaultServer
}

// root returns the innermost error's text: the SDK wraps a refused connection
// in half a dozen layers that say nothing more, and a url.Error would show a
// query with a signature in it.
func root(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timed out"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
