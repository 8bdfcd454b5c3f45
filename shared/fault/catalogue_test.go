package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/shared/fault"
)

func TestEveryNameIsDocumented(t *testing.T) {
	for name, entry := range fault.Catalogue() {
		if entry.When == "" || entry.Do == "" || !strings.HasPrefix(string(name), "CrossApply.") {
			t.Errorf("%s: %+v", name, entry)
		}
		if strings.HasSuffix(entry.When, ".") || !strings.HasSuffix(entry.Do, ".") {
			t.Errorf("%s: When completes a sentence, Do is one", name)
		}
	}
}

func TestNameOf(t *testing.T) {
	inner := fault.New(fault.Conflict, "owned")
	tests := []struct {
		err  error
		want fault.Name
	}{
		{inner, fault.Conflict},
		{fmt.Errorf("wrapped: %w", inner), fault.Conflict},
		{fault.Wrap(inner, fault.Forbidden, "outer"), fault.Forbidden},
		{errors.Join(errors.New("other"), inner), fault.Conflict},
		{errors.New("nobody named it"), fault.Internal},
	}
	for _, test := range tests {
		if got := fault.NameOf(test.err); got != test.want {
			t.Errorf("%v: got %s, want %s", test.err, got, test.want)
		}
	}
	if !errors.Is(fault.Wrap(inner, fault.Forbidden, "outer"), inner) {
		t.Error("the cause is lost")
	}
}

func TestFromAWS(t *testing.T) {
	names := map[string]fault.Name{"ResourceNotFoundException": fault.ClusterNotFound}
	tests := []struct {
		err  error
		want fault.Name
	}{
		{&smithy.GenericAPIError{Code: "ResourceNotFoundException", Message: "none"}, fault.ClusterNotFound},
		{&smithy.GenericAPIError{Code: "ThrottlingException"}, fault.Throttled},
		{&smithy.GenericAPIError{Code: "TooManyRequestsException"}, fault.Throttled},
		{&smithy.GenericAPIError{Code: "ServerException", Fault: smithy.FaultServer}, fault.AWSUnavailable},
		{&smithy.GenericAPIError{Code: "UnsupportedOperation", Fault: smithy.FaultClient}, fault.AWSError},
		{&smithy.OperationError{ServiceID: "EKS", Err: errors.New("missing required field, DescribeClusterInput.Name")}, fault.AWSError},
		{fmt.Errorf("operation error: %w", context.DeadlineExceeded), fault.AWSUnavailable},
		{&url.Error{Op: "Get", URL: "https://sts/?X-Amz-Signature=abc", Err: errors.New("connection reset")}, fault.AWSUnavailable},
	}
	for _, test := range tests {
		err := fault.FromAWS(test.err, names, "describe the cluster")
		if fault.NameOf(err) != test.want || !errors.Is(err, test.err) {
			t.Errorf("%v: got %s", test.err, fault.NameOf(err))
		}
		if !strings.HasPrefix(err.Error(), "describe the cluster: ") || strings.Contains(err.Error(), "X-Amz-Signature") {
			t.Errorf("the message is %q", err)
		}
	}
	if fault.FromAWS(nil, nil, "x") != nil {
		t.Error("no error became one")
	}
}
