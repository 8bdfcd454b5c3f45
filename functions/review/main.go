package main

import (
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/runs"
)

func main() {
	env, err := awsenv.Require(awsenv.RunBucket)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	reviewer := Reviewer{store: runs.NewBucket(s3.NewFromConfig(awsenv.Config()), env[0]), now: time.Now}
	lambda.Start(edge.New("review", os.Stdout, reviewer.Handle))
}
