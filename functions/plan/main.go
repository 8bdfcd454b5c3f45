package main

import (
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/regions"
	"github.com/crossapply/crossapply/shared/runs"
)

func main() {
	env, err := awsenv.Require(awsenv.RunBucket, awsenv.Partition)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	maxConcurrency, err := awsenv.MaxConcurrencyFrom()
	if err != nil {
		log.Fatal(err)
	}
	allowed, err := allowlist.Parse(os.Getenv(awsenv.Allow))
	if err != nil {
		log.Fatal(err)
	}
	config := awsenv.Config()
	planner := Planner{
		store:          runs.NewBucket(s3.NewFromConfig(config), env[0]),
		executions:     sfn.NewFromConfig(config),
		scope:          regions.Scope{Partition: env[1], Additional: awsenv.AdditionalRegionsFrom()},
		allowed:        allowed,
		operations:     awsenv.OperationsFrom(),
		maxConcurrency: maxConcurrency,
		now:            time.Now,
	}
	if os.Getenv(awsenv.Organizations) == "true" {
		planner.organization = organizations.NewFromConfig(config, func(o *organizations.Options) { o.RetryMaxAttempts = 8 }) // it takes few calls a second
	}
	lambda.Start(edge.New("plan", os.Stdout, planner.Handle))
}
