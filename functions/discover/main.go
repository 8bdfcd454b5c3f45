package main

import (
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
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
	discoverer := Discoverer{auth: auth, eks: eks.NewFromConfig(config, patiently(retry.DefaultMaxBackoff)),
		store: func(name string) Store { return runs.NewBucket(bucket, name) }}
	lambda.Start(edge.New("discover", os.Stdout, discoverer.Handle))
}

// patiently has calls that EKS throttles made again, each by itself and more and more
// slowly: a call of the function that fails begins anew. The SDK's adaptive mode would
// slow all Regions down for the one that throttles.
func patiently(longestPause time.Duration) func(*eks.Options) {
	return func(o *eks.Options) {
		o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = 10, longestPause
			o.RateLimiter = ratelimit.None // the SDK's ends all retries when many were needed
		})
	}
}
