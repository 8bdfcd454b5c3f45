// Command function is a Lambda function that does what its event says, for the
// tests of the sandbox.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type event struct {
	Do   string `json:"do"`
	Text string `json:"text"`
}

type answer struct {
	Text        string   `json:"text,omitempty"`
	PID         int      `json:"pid"`
	Count       int      `json:"count"`
	RequestID   string   `json:"requestId"`
	FunctionARN string   `json:"functionArn"`
	LeftMillis  int64    `json:"leftMillis"`
	Environment []string `json:"environment,omitempty"`
	Caller      string   `json:"caller,omitempty"`
}

func main() {
	switch os.Getenv("FAIL_INIT") {
	case "report":
		reportInitError()
		os.Exit(1)
	case "exit":
		fmt.Println("cannot start")
		os.Exit(3)
	}
	count := 0
	lambda.Start(func(ctx context.Context, e event) (*answer, error) {
		count++
		return handle(ctx, e, count)
	})
}

// reportInitError does what runtimes of other languages do when their setup fails.
func reportInitError() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	response, err := http.Post(url, "application/json", strings.NewReader(`{"errorType":"Init.NoConfig","errorMessage":"no configuration"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = response.Body.Close()
}

func handle(ctx context.Context, e event, count int) (*answer, error) {
	invocation, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	a := &answer{
		Text: e.Text, PID: os.Getpid(), Count: count, RequestID: invocation.AwsRequestID,
		FunctionARN: invocation.InvokedFunctionArn, LeftMillis: time.Until(deadline).Milliseconds(),
	}
	switch e.Do {
	case "print":
		fmt.Println("line of", e.Text)
	case "error":
		return nil, errors.New(e.Text)
	case "named":
		return nil, messages.InvokeResponse_Error{Type: "CrossApply.Conflict", Message: e.Text}
	case "panic":
		panic(e.Text)
	case "exit":
		os.Exit(1)
	case "sleep":
		d, err := time.ParseDuration(e.Text)
		if err != nil {
			return nil, err
		}
		time.Sleep(d)
	case "get": // a URL
		response, err := http.Get(e.Text)
		if err != nil {
			return nil, err
		}
		_ = response.Body.Close()
	case "large":
		a.Text = strings.Repeat("x", 7<<20)
	case "environment":
		a.Environment = os.Environ()
	case "whoami":
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return nil, err
		}
		a.Caller, err = whoami(ctx, cfg)
		return a, err
	case "put": // objects 1, 2 and 3, as a role that it assumes
		return a, put(ctx, e.Text)
	}
	return a, nil
}

func whoami(ctx context.Context, cfg aws.Config) (string, error) {
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		return "", err
	}
	return *out.Arn, nil
}

func put(ctx context.Context, roleARN string) error {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	out, err := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: aws.String("writer")})
	if err != nil {
		return err
	}
	c := out.Credentials
	cfg.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	for _, key := range []string{"1", "2", "3"} {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("runs"), Key: &key, Body: strings.NewReader("x")})
		if err != nil {
			return err
		}
	}
	return nil
}
