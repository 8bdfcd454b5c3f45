package states

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// principal is who assumes the roles of state machines.
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
		// Step Functions makes one call for each attempt; Retry is the state's.
		lambda: lambda.NewFromConfig(cfg, func(o *lambda.Options) { o.Retryer = aws.NopRetryer{} }),
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

// Run invokes the Lambda function of a Task state.
func (x *integrations) Run(ctx context.Context, task asl.Task) (json.RawMessage, error) {
	c, err := x.as(task.RoleARN, task.MachineARN)
	if err != nil {
		return nil, &asl.Error{Name: "States.Permissions", Cause: err.Error()}
	}
	in := &lambda.InvokeInput{FunctionName: &task.Resource, Payload: task.Arguments}
	whole := strings.Contains(task.Resource, ":states:")
	if whole {
		if in, err = invokeInput(task.Arguments); err != nil {
			return nil, &asl.Error{Name: asl.ErrRuntime, Cause: err.Error()}
		}
	}
	out, err := c.lambda.Invoke(ctx, in)
	switch {
	case err != nil:
		return nil, lambdaError(err)
	case out.FunctionError != nil:
		return nil, functionError(out.Payload)
	case whole:
		return invokeResult(out), nil
	}
	return payloadOf(out.Payload), nil
}

// invokeInput reads the Arguments of lambda:invoke.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func invokeInput(arguments json.RawMessage) (*lambda.InvokeInput, error) {
	var given struct {
		FunctionName, Qualifier, ClientContext *string
		InvocationType                         lambdatypes.InvocationType
		LogType                                lambdatypes.LogType
		Payload                                json.RawMessage
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(arguments, &members); err != nil {
		return nil, fmt.Errorf("the Arguments of lambda:invoke: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		// Checked by hand: package json takes a member's name in any case.
		if _, ok := reflect.TypeOf(given).FieldByName(name); !ok {
			return nil, fmt.Errorf("the Arguments of lambda:invoke: %q is not supported", name)
		}
	}
	if err := json.Unmarshal(arguments, &given); err != nil {
		return nil, fmt.Errorf("the Arguments of lambda:invoke: %w", err)
	}
	if given.FunctionName == nil {
		return nil, errors.New("the Arguments of lambda:invoke have no FunctionName")
	}
	return &lambda.InvokeInput{
		FunctionName: given.FunctionName, Qualifier: given.Qualifier, ClientContext: given.ClientContext,
		InvocationType: given.InvocationType, LogType: given.LogType, Payload: given.Payload,
	}, nil
}

func payloadOf(body []byte) json.RawMessage {
	if len(bytes.TrimSpace(body)) == 0 {
		return json.RawMessage("null")
	}
	return body
}

// invokeResult is the result of lambda:invoke.
func invokeResult(out *lambda.InvokeOutput) json.RawMessage {
	result := struct {
		ExecutedVersion     *string `json:",omitempty"`
		LogResult           *string `json:",omitempty"`
		Payload             json.RawMessage
		SdkHttpMetadata     httpMetadata               //nolint:revive // Step Functions' spelling
		SdkResponseMetadata struct{ RequestId string } //nolint:revive // Step Functions' spelling
		StatusCode          int32
	}{ExecutedVersion: out.ExecutedVersion, LogResult: out.LogResult, Payload: payloadOf(out.Payload), StatusCode: out.StatusCode}
	result.SdkHttpMetadata.HttpStatusCode = int(out.StatusCode)
	if response, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok {
		result.SdkHttpMetadata.AllHttpHeaders = response.Header
		result.SdkHttpMetadata.HttpHeaders = map[string]string{}
		for name := range response.Header {
			result.SdkHttpMetadata.HttpHeaders[name] = response.Header.Get(name)
		}
	}
	result.SdkResponseMetadata.RequestId, _ = awsmiddleware.GetRequestIDMetadata(out.ResultMetadata)
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		// The payload is not JSON: say so where the runner looks.
		return out.Payload
	}
	return body.Bytes()
}

type httpMetadata struct {
	AllHttpHeaders http.Header       //nolint:revive // Step Functions' spelling
	HttpHeaders    map[string]string //nolint:revive // Step Functions' spelling
	HttpStatusCode int               //nolint:revive // Step Functions' spelling
}

// functionError names an error that a function returned.
func functionError(payload []byte) error {
	var body struct {
		ErrorType string `json:"errorType"`
	}
	if err := json.Unmarshal(payload, &body); err != nil || body.ErrorType == "" {
		return &asl.Error{Name: "Lambda.Unknown", Cause: "The cause could not be determined because Lambda did not return an error type. Returned payload: " + string(payload)}
	}
	return &asl.Error{Name: body.ErrorType, Cause: string(payload)}
}

// lambdaError names an error of the Lambda service: by its own name where the
// service's model has it, else as the service's base exception.
func lambdaError(err error) error {
	var api smithy.APIError
	var unnamed *smithy.GenericAPIError
	var response *smithyhttp.ResponseError
	status, requestID := 0, ""
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	var withID interface{ ServiceRequestID() string }
	if errors.As(err, &withID) {
		requestID = withID.ServiceRequestID()
	}
	if !errors.As(err, &api) {
		return &asl.Error{Name: "Lambda.SdkClientException", Cause: err.Error()}
	}
	name := "Lambda." + api.ErrorCode()
	if errors.As(err, &unnamed) {
		name = "Lambda.AWSLambdaException"
	}
	return &asl.Error{Name: name, Cause: fmt.Sprintf("%s (Service: Lambda, Status Code: %d, Request ID: %s)", api.ErrorMessage(), status, requestID)}
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
