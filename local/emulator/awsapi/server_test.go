package awsapi_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
)

// listing is a Step Functions endpoint that only lists machines, of which it has
// none, and keeps who asked.
type listing struct{ origin iam.Origin }

func (l *listing) Name() string { return "states" }

func (l *listing) Protocol() protocol.Protocol { return protocol.JSON }

func (l *listing) Operation(*http.Request) protocol.Operation {
	return protocol.Operation{Name: "ListStateMachines", Action: "states:ListStateMachines", Serve: l.list}
}

func (l *listing) list(w http.ResponseWriter, r *protocol.Request) error {
	l.origin = r.Origin
	if err := r.Authorize(iam.Request{Resource: "*"}); err != nil {
		return err
	}
	protocol.WriteJSON(w, map[string]any{"stateMachines": []string{}})
	return nil
}

func TestMount(t *testing.T) {
	s := awsapitest.Start(t)
	service := &listing{}
	s.Mount(service)
	list := func(u iam.User) error {
		_, err := sfn.NewFromConfig(awsapitest.ConfigOf(s, u)).ListStateMachines(t.Context(), nil)
		return err
	}
	if err := list(awsapitest.Admin()); err != nil {
		t.Error(err)
	}
	if got := service.origin; got.Caller.ARN != awsapitest.Admin().ARN() || got.Region != awsapitest.Region || got.SourceIP != "127.0.0.1" {
		t.Errorf("origin %+v", got)
	}
	awsapitest.CheckCode(t, list(awsapitest.Guest()), "AccessDeniedException", 400)
	if got := s.CallsTo("states", "ListStateMachines"); got != 2 {
		t.Errorf("counted %d calls", got)
	}
	wrong := awsapitest.Admin()
	wrong.SecretAccessKey = "guess"
	awsapitest.CheckCode(t, list(wrong), "InvalidSignatureException", 400)
}

func TestServiceThatIsNotServed(t *testing.T) {
	s := awsapitest.Start(t)
	_, err := sfn.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Admin())).ListStateMachines(context.Background(), nil)
	awsapitest.CheckCode(t, err, "UnknownOperationException", 404)
	if err == nil || !strings.Contains(err.Error(), "The service states (operation ListStateMachines) is not served") {
		t.Errorf("the error does not name service and operation: %v", err)
	}
}

func TestStartRefusesAMalformedWorld(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]awsapi.Config{
		"taken port":      {Address: taken.Addr().String()},
		"unknown account": {Users: []iam.User{awsapitest.Admin()}},
		"bucket name":     {Buckets: []s3.Bucket{{Name: "No", Account: awsapitest.Hub}}},
		"bucket policy":   {Buckets: []s3.Bucket{{Name: "runs", Account: awsapitest.Hub, Policy: "{}"}}},
	} {
		if s, err := awsapi.Start(c); err == nil {
			t.Errorf("%s: accepted", name)
			_ = s.Close()
		}
	}
}
