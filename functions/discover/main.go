package main

import (
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/runs"
)

func main() {
	config := awsenv.Config()
	auth, err := eksauth.FromEnv(config, time.Now)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	bucket := s3.NewFromConfig(config)
	discoverer := Discoverer{auth: auth, eks: eks.NewFromConfig(config, patiently),
		store: func(name string) Store { return runs.NewBucket(bucket, name) }}
	lambda.Start(edge.New("discover", os.Stdout, discoverer.Handle))
}

// patiently has calls that EKS throttles made again, more slowly, for about two
// minutes: a call of the function that fails begins anew.
func patiently(o *eks.Options) {
	o.RetryMode = aws.RetryModeAdaptive
	o.RetryMaxAttempts = 10
}
