package world

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/statemachine"
)

// What every deployment here says.
const (
	accessRoleName = "crossapply-access"
	machineName    = deployment.Name
)

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

// createStateMachine creates the workflow as a deployment does.
func createStateMachine(ctx context.Context, config aws.Config, d Deployment) (string, error) {
	definition, err := statemachine.Substitute(d.Substitutions)
	if err != nil {
		return "", err
	}
	out, err := sfn.NewFromConfig(config).CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name:       aws.String(machineName),
		Definition: aws.String(definition),
		RoleArn:    aws.String(iam.Role{Partition: d.Partition(), Account: d.Account, Name: machineName + "-workflow"}.ARN()),
	})
	if err != nil {
		return "", fmt.Errorf("create the state machine: %w", err)
	}
	return aws.ToString(out.StateMachineArn), nil
}

// engineer is a person with all rights in one account. The keys are those of a
// pretend world and open nothing else.
func engineer(partition, account string) iam.User {
	return iam.User{
		Partition: partition, Account: account, Name: "engineer",
		AccessKeyID: "AKIALOCL" + account, SecretAccessKey: "local-secret-of-" + account,
		Policies: []string{`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`},
	}
}
