package states

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// principal is who assumes the roles of state machines, in every partition: also in
// China few services have a principal of that partition's domain, such as ec2.
const principal = "states.amazonaws.com"

// integrations do the work of states through the SDK, as the machine's role.
type integrations struct {
	directory *iam.Directory
	endpoint  func() string

	mu      sync.Mutex
	clients map[identity]*clients
}

// identity is as whom the work of a state is done.
type identity struct{ roleARN, machineARN string }

type clients struct {
	lambda *lambda.Client
	s3     *s3.Client
	events *eventbridge.Client
}

// as returns the clients of a machine's role. They are kept: their credentials
// renew themselves.
func (x *integrations) as(roleARN, machineARN string) (*clients, error) {
	machineARN, _, _ = strings.Cut(machineARN, "/") // a Map's children act as its machine
	who := identity{roleARN, machineARN}
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.clients[who]; c != nil {
		return c, nil
	}
	if err := x.directory.CheckTrust(principal, roleARN, machineARN); err != nil {
		return nil, fmt.Errorf("Step Functions cannot assume the role %s: %w", roleARN, err) //nolint:staticcheck // a name
	}
	cfg := aws.Config{
		Region: strings.Split(machineARN, ":")[3], BaseEndpoint: aws.String(x.endpoint()),
		Credentials: aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return x.assume(who) })),
	}
	c := &clients{
		// A Task makes one call for each attempt; Retry is the state's.
		lambda: lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} }),
		events: eventbridge.NewFromConfig(cfg, func(o *eventbridge.Options) { o.Retryer = aws.NopRetryer{} }),
		s3:     s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }),
	}
	x.clients[who] = c
	return c, nil
}

func (x *integrations) assume(who identity) (aws.Credentials, error) {
	session, err := x.directory.AssumeRoleForService(principal, who.roleARN, "local", who.machineARN)
	if err != nil {
		return aws.Credentials{}, fmt.Errorf("assume role for %s: %w", principal, err)
	}
	return aws.Credentials{
		AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey, SessionToken: session.SessionToken,
		CanExpire: true, Expires: session.Expires.Add(-time.Minute),
	}, nil
}

// Run does the work of a Task state.
func (x *integrations) Run(ctx context.Context, task asl.Task) (json.RawMessage, error) {
	c, err := x.as(task.RoleARN, task.MachineARN)
	if err != nil {
		return nil, &asl.Error{Name: "States.Permissions", Cause: err.Error()}
	}
	// arn:<partition>:states:::<integration>, or the ARN of a Lambda function. What
	// waits for an answer begins with the call that others are done with.
	switch parts := strings.SplitN(task.Resource, ":", 6); strings.TrimSuffix(parts[5], asl.CallbackSuffix) {
	case "lambda:invoke":
		return c.invoke(ctx, task.Arguments)
	case "aws-sdk:s3:putObject":
		return c.putObject(ctx, task.Arguments)
	case "events:putEvents":
		return c.putEvents(ctx, task)
	}
	return c.call(ctx, task.Resource, task.Arguments)
}

// arguments reads the Arguments of an integration into a struct of those that it
// takes.
func arguments(integration string, given json.RawMessage, into any, required ...string) error {
	wrong := func(format string, args ...any) error {
		return &asl.Error{Name: asl.ErrRuntime, Cause: "the Arguments of " + integration + ": " + fmt.Sprintf(format, args...)}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(given, &members); err != nil {
		return wrong("%v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		// Checked by hand: package json takes a member's name in any case.
		if _, ok := reflect.TypeOf(into).Elem().FieldByName(name); !ok {
			return wrong("%q is not supported", name)
		}
	}
	for _, name := range required {
		if _, ok := members[name]; !ok {
			return wrong("%q is missing", name)
		}
	}
	if err := json.Unmarshal(given, into); err != nil {
		return wrong("%v", err)
	}
	return nil
}

// serviceError names an error of a service: by its own name where the SDK for
// Java, which Step Functions calls with, has a class for it, else as the service's
// base exception. Beside those that the SDK for Go knows too, modelled lists them.
// https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
func serviceError(service, base string, err error, modelled ...string) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return &asl.Error{Name: service + ".SdkClientException", Cause: err.Error()}
	}
	name := strings.TrimSuffix(api.ErrorCode(), "Exception") + "Exception"
	var unnamed *smithy.GenericAPIError
	if errors.As(err, &unnamed) && !slices.Contains(modelled, unnamed.Code) {
		name = base
	}
	var response *awshttp.ResponseError
	status, requestID := 0, ""
	if errors.As(err, &response) {
		status, requestID = response.HTTPStatusCode(), response.ServiceRequestID()
	}
	return &asl.Error{
		Name:  service + "." + name,
		Cause: fmt.Sprintf("%s (Service: %s, Status Code: %d, Request ID: %s)", api.ErrorMessage(), service, status, requestID),
	}
}

// Get reads an object for an ItemReader.
func (x *integrations) Get(ctx context.Context, by *asl.Execution, bucket, key string) ([]byte, error) {
	c, err := x.as(by.RoleARN, by.MachineARN)
	if err != nil {
		return nil, err
	}
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, fmt.Errorf("s3:GetObject: %w", err)
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, fmt.Errorf("s3:GetObject: %w", err)
	}
	return body, nil
}

// Put writes an object for a ResultWriter.
func (x *integrations) Put(ctx context.Context, by *asl.Execution, bucket, key string, body []byte) error {
	c, err := x.as(by.RoleARN, by.MachineARN)
	if err != nil {
		return err
	}
	_, err = c.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("application/json"),
	})
	if err != nil {
		return fmt.Errorf("s3:PutObject: %w", err)
	}
	return nil
}
