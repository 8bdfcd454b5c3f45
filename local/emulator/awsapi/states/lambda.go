package states

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
)

// invoke is the integration lambda:invoke.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
func (c *clients) invoke(ctx context.Context, given json.RawMessage) (json.RawMessage, error) {
	var in struct {
		FunctionName, Qualifier, ClientContext *string
		InvocationType                         lambdatypes.InvocationType
		LogType                                lambdatypes.LogType
		Payload                                json.RawMessage
	}
	if err := arguments("lambda:invoke", given, &in, "FunctionName"); err != nil {
		return nil, err
	}
	out, err := c.invocation(ctx, &lambda.InvokeInput{
		FunctionName: in.FunctionName, Qualifier: in.Qualifier, ClientContext: in.ClientContext,
		InvocationType: in.InvocationType, LogType: in.LogType, Payload: in.Payload,
	})
	if err != nil {
		return nil, err
	}
	return invokeResult(out), nil
}

// call invokes the function whose own ARN is the state's resource.
func (c *clients) call(ctx context.Context, function string, payload json.RawMessage) (json.RawMessage, error) {
	out, err := c.invocation(ctx, &lambda.InvokeInput{FunctionName: &function, Payload: payload})
	if err != nil {
		return nil, err
	}
	return payloadOf(out.Payload), nil
}

func (c *clients) invocation(ctx context.Context, in *lambda.InvokeInput) (*lambda.InvokeOutput, error) {
	out, err := c.lambda.Invoke(ctx, in)
	switch {
	case err != nil:
		return nil, serviceError("Lambda", "AWSLambdaException", err)
	case out.FunctionError != nil:
		return nil, functionError(out.Payload)
	}
	return out, nil
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
		ExecutedVersion *string `json:",omitempty"`
		LogResult       *string `json:",omitempty"`
		Payload         json.RawMessage
		sdkMetadata
		StatusCode int32
	}{out.ExecutedVersion, out.LogResult, payloadOf(out.Payload), metadataOf(out.ResultMetadata), out.StatusCode}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		// The payload is not JSON: say so where the runner looks.
		return out.Payload
	}
	return body.Bytes()
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
