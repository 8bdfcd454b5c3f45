// Command prune deletes old versions of a deployment's state machine, and the
// versions of functions that none of the others name any more.
//
//	go run ./cdk/prune -machine <StateMachineArn> -keep 10           # say what would go
//	go run ./cdk/prune -machine <StateMachineArn> -keep 10 -delete
//
// It calls AWS with the caller's credentials, in the state machine's Region.
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
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "prune:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	machine := flag.String("machine", "", "the ARN of the state machine or of its alias: the output StateMachineArn")
	keep := flag.Int("keep", 10, "how many of the newest versions stay in any case")
	remove := flag.Bool("delete", false, "delete, rather than say what would be deleted")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if *keep < 1 {
		return errors.New("-keep must be at least 1")
	}
	parsed, err := arn.Parse(*machine)
	if err != nil {
		return fmt.Errorf("-machine %q: %w", *machine, err)
	}
	sdk, err := config.LoadDefaultConfig(ctx, config.WithRegion(parsed.Region))
	if err != nil {
		return fmt.Errorf("read the AWS configuration: %w", err)
	}
	p := pruner{states: sfn.NewFromConfig(sdk), functions: lambda.NewFromConfig(sdk)}
	found, err := p.find(ctx, *machine, *keep)
	if err != nil {
		return err
	}
	for _, old := range found.all() {
		fmt.Println(old)
	}
	if !*remove {
		fmt.Printf("%d versions would be deleted.\n", len(found.all()))
		return nil
	}
	if err := p.delete(ctx, found); err != nil {
		return err
	}
	fmt.Printf("%d versions are deleted.\n", len(found.all()))
	return nil
}
