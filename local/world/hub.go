package world

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/awsapi/iam"
	"github.com/crossapply/crossapply/local/awsapi/lambda"
	"github.com/crossapply/crossapply/local/awsapi/s3"
	"github.com/crossapply/crossapply/statemachine"
)

// What a deployment configures.
const (
	// ExternalID is what the access roles' trust policies ask for.
	ExternalID = "crossapply-local"
	// Bucket is the run bucket.
	Bucket = "crossapply-runs-" + HubAccount

	accessRoleName = "crossapply-access"
	machineName    = "crossapply"
	workflowRole   = "crossapply-workflow"
)

// function is one of the workflow's Lambda functions.
type function struct {
	name    string
	timeout time.Duration
	// assumes says that it assumes access roles.
	assumes bool
	env     map[string]string
	// s3 are the statements it needs on the run bucket.
	s3 []statement
}

var accessEnv = map[string]string{"PARTITION": "aws", "ACCESS_ROLE_NAME": accessRoleName, "EXTERNAL_ID": ExternalID}

// The functions, each with the least it needs. Timeouts stay below those of the
// definition's states, so that it is the function that ends first and says why.
var hubFunctions = []function{
	{name: "plan", timeout: 30 * time.Second, env: map[string]string{"PARTITION": "aws", "RUN_BUCKET": Bucket},
		s3: []statement{allow("s3:PutObject", objects("runs/*"), objects("claims/*")), allow("s3:GetObject", objects("claims/*"))}},
	{name: "resolve", timeout: 60 * time.Second, assumes: true, env: accessEnv},
	{name: "apply", timeout: 60 * time.Second, assumes: true, env: accessEnv,
		s3: []statement{allow("s3:GetObject", objects("runs/*/resource.json"))}},
	{name: "poll", timeout: 120 * time.Second, assumes: true, env: accessEnv},
	{name: "report", timeout: 240 * time.Second, s3: []statement{
		allow("s3:GetObject", objects("runs/*")),
		allow("s3:PutObject", objects("runs/*/report.json")),
		allow("s3:ListBucket", "arn:aws:s3:::"+Bucket),
	}},
}

func objects(pattern string) string { return "arn:aws:s3:::" + Bucket + "/" + pattern }

func (f function) roleARN() string {
	return iam.Role{Account: HubAccount, Name: "crossapply-" + f.name}.ARN()
}

func (f function) arn() string {
	return lambda.Function{Account: HubAccount, Region: HubRegion, Name: "crossapply-" + f.name}.ARN()
}

func functions(binaries string, pollWindow time.Duration) []lambda.Function {
	var all []lambda.Function
	for _, f := range hubFunctions {
		if f.name == "poll" && pollWindow > 0 {
			f.env = maps.Clone(f.env)
			f.env["POLL_WINDOW"] = pollWindow.String()
		}
		all = append(all, lambda.Function{
			Account: HubAccount, Region: HubRegion, Name: "crossapply-" + f.name,
			Binary: filepath.Join(binaries, f.name), RoleARN: f.roleARN(),
			Environment: f.env, Timeout: f.timeout, MemoryMB: 256,
		})
	}
	return all
}

// buildFunctions builds the function binaries for this machine, as `make build`
// builds them for Lambda.
func buildFunctions(ctx context.Context, dir string) error {
	build := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags=-s -w",
		"-o", dir+string(filepath.Separator), "github.com/crossapply/crossapply/functions/...")
	build.Env = append(build.Environ(), "CGO_ENABLED=0", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	// Interrupted, go ends its compilers and removes its files.
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	build.WaitDelay = 5 * time.Second
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the functions: %w\n%s", err, out)
	}
	return nil
}

func buckets() []s3.Bucket {
	return []s3.Bucket{{Name: Bucket, Account: HubAccount, Region: HubRegion}}
}

// createStateMachine creates the workflow as a deployment would.
func createStateMachine(ctx context.Context, config aws.Config) (string, error) {
	values := map[string]string{}
	for name, f := range map[string]function{
		"PlanFunctionArn": hubFunctions[0], "ResolveFunctionArn": hubFunctions[1], "ApplyFunctionArn": hubFunctions[2],
		"PollFunctionArn": hubFunctions[3], "ReportFunctionArn": hubFunctions[4],
	} {
		values[name] = f.arn()
	}
	definition, err := statemachine.Substitute(values)
	if err != nil {
		return "", err
	}
	out, err := sfn.NewFromConfig(config).CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name:       aws.String(machineName),
		Definition: aws.String(definition),
		RoleArn:    aws.String(iam.Role{Account: HubAccount, Name: workflowRole}.ARN()),
	})
	if err != nil {
		return "", fmt.Errorf("create the state machine: %w", err)
	}
	return aws.ToString(out.StateMachineArn), nil
}

// statement is a statement of an IAM policy.
type statement map[string]any

func allow(action string, resources ...string) statement {
	return statement{"Effect": "Allow", "Action": action, "Resource": resources}
}

// policy returns an IAM policy document.
func policy(statements ...statement) string {
	body, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err) // maps of strings: it cannot happen
	}
	return string(body)
}
