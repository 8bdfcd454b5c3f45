// Command approve answers an execution that asks for an approval, or says which of a
// state machine's executions ask for one.
//
//	go run ./cdk/approve -machine <StateMachineArn>
//	go run ./cdk/approve -execution <its ARN> [-wave <its name>] [-reject] [-message <why>]
//
// It calls AWS with the caller's credentials, in the state machine's Region. The token
// that an answer takes is read from the execution's history, and never shown.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "approve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	machine := flag.String("machine", "", "the ARN of the state machine or of its alias, to say which executions ask")
	execution := flag.String("execution", "", "the ARN of the execution to answer")
	wave := flag.String("wave", "", "the wave that the answer is about: another one is left alone")
	reject := flag.Bool("reject", false, "say no, rather than yes")
	message := flag.String("message", "", "why, for the answer of the execution")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if (*machine == "") == (*execution == "") {
		return errors.New("give -execution or -machine")
	}
	parsed, err := arn.Parse(*machine + *execution)
	if err != nil {
		return fmt.Errorf("%q: %w", *machine+*execution, err)
	}
	sdk, err := config.LoadDefaultConfig(ctx, config.WithRegion(parsed.Region))
	if err != nil {
		return fmt.Errorf("read the AWS configuration: %w", err)
	}
	a := approver{states: sfn.NewFromConfig(sdk), identities: sts.NewFromConfig(sdk), out: os.Stdout}
	if *execution == "" {
		return a.list(ctx, *machine)
	}
	return a.answer(ctx, *execution, *wave, !*reject, *message)
}
