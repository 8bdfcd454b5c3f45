package awsapi_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
)

func TestMount(t *testing.T) {
	s := newServer(t)
	var origin iam.Origin
	var allowed error
	s.Mount("states", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, _ = iam.FromContext(r.Context())
		allowed = s.Allow(r.Context(), "states:ListStateMachines", "*")
		fmt.Fprint(w, `{"stateMachines":[]}`)
	}))
	ctx := context.Background()
	for _, tt := range []struct {
		user    iam.User
		allowed bool
	}{{admin(), true}, {guest(), false}} {
		if _, err := sfn.NewFromConfig(configOf(s, tt.user)).ListStateMachines(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if origin.Caller.ARN != tt.user.ARN() || origin.Region != region || origin.SourceIP != "127.0.0.1" {
			t.Errorf("origin %+v of %s", origin, tt.user.Name)
		}
		if (allowed == nil) != tt.allowed {
			t.Errorf("%s: %v", tt.user.Name, allowed)
		}
	}
	if got := s.CallsTo("states", "ListStateMachines"); got != 2 {
		t.Errorf("counted %d calls", got)
	}
	wrong := admin()
	wrong.SecretAccessKey = "guess"
	_, err := sfn.NewFromConfig(configOf(s, wrong)).ListStateMachines(ctx, nil)
	checkCode(t, err, "InvalidSignatureException", 400)
}

func TestPassRole(t *testing.T) {
	passer := iam.User{Account: hub, Name: "passer", AccessKeyID: "AKIAPASSERPASSER", SecretAccessKey: "s", Policies: []string{
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":{"StringEquals":{"iam:PassedToService":"states.amazonaws.com"}}}}`}}
	s := newServer(t, func(c *awsapi.Config) { c.Users = append(c.Users, passer) })
	credential, _ := s.IAM.Credential(passer.AccessKeyID)
	ctx := iam.NewContext(context.Background(), iam.Origin{Caller: credential.Caller, Region: region})
	if err := s.StatesAccess(region).Allow(ctx, "iam:PassRole", machineRole().ARN()); err != nil {
		t.Error(err)
	}
	if err := s.Allow(ctx, "iam:PassRole", machineRole().ARN()); err == nil {
		t.Error("the role may be passed to any service")
	}
	if account, in := s.Caller(ctx); account != hub || in != region {
		t.Errorf("caller of %s in %s", account, in)
	}
}

func TestServiceThatIsNotServed(t *testing.T) {
	s := newServer(t)
	_, err := sfn.NewFromConfig(configOf(s, admin())).ListStateMachines(context.Background(), nil)
	checkCode(t, err, "UnknownOperationException", 404)
	if err == nil || !strings.Contains(err.Error(), "The service states (operation ListStateMachines) is not served") {
		t.Errorf("the error does not name service and operation: %v", err)
	}
}

func TestStatesAccess(t *testing.T) {
	s := newServer(t)
	access := s.StatesAccess(region)
	ctx := context.Background()
	const machine = "arn:aws:states:eu-west-1:111111111111:stateMachine:rollout"
	if err := access.AllowRole(ctx, machineRole().ARN(), "states:StartExecution", machine); err != nil {
		t.Error(err)
	}
	if err := access.AllowRole(ctx, machineRole().ARN(), "lambda:InvokeFunction", "*"); err == nil {
		t.Error("the role may do what no policy allows")
	}
	if err := access.AllowRole(ctx, "arn:aws:iam::111111111111:role/none", "states:StartExecution", machine); err == nil {
		t.Error("a role that does not exist may do something")
	}
	if err := access.Allow(ctx, "states:StartExecution", machine); err == nil {
		t.Error("something is allowed without a caller")
	}
	if _, err := access.Config(ctx, functionRole().ARN()); err == nil {
		t.Error("a role that trusts only Lambda was assumed for Step Functions")
	}
	config, err := access.Config(ctx, machineRole().ARN())
	if err != nil {
		t.Fatal(err)
	}
	out, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, nil)
	if err != nil || !strings.HasPrefix(*out.Arn, "arn:aws:sts::111111111111:assumed-role/machine/") {
		t.Errorf("identity %+v, %v", out, err)
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
		"unknown account": {Users: []iam.User{admin()}},
		"bucket name":     {Buckets: []s3.Bucket{{Name: "No", Account: hub}}},
		"bucket policy":   {Buckets: []s3.Bucket{{Name: "runs", Account: hub, Policy: "{}"}}},
	} {
		if s, err := awsapi.Start(c); err == nil {
			t.Errorf("%s: accepted", name)
			_ = s.Close()
		}
	}
}
