package main

import (
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/runs"
)

func main() {
	client := s3.NewFromConfig(awsenv.Config())
	reporter := Reporter{store: func(bucket string) Store { return runs.NewBucket(client, bucket) }, now: time.Now}
	lambda.Start(edge.New("report", os.Stdout, reporter.Handle))
}
