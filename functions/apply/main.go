package main

import (
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/runs"
)

func main() {
	config := awsenv.Config()
	auth, err := eksauth.FromEnv(config, time.Now)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	client := s3.NewFromConfig(config)
	applier := &Applier{auth: auth, clusters: new(kube.Clusters), now: time.Now, servedPause: time.Second,
		store: func(bucket string) Store { return runs.NewBucket(client, bucket) }}
	lambda.Start(edge.New("apply", os.Stdout, applier.Handle))
}
