package main

import (
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/runs"
)

func main() {
	window, err := awsenv.PollWindowFrom()
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	config := awsenv.Config()
	auth, err := eksauth.FromEnv(config, time.Now)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	client := s3.NewFromConfig(config)
	poller := &Poller{auth: auth, clusters: new(kube.Clusters), window: window, now: time.Now, random: rand.Float64,
		journal: func(bucket string) journal.Reader { return runs.NewBucket(client, bucket) }}
	lambda.Start(edge.New("poll", os.Stdout, poller.Handle))
}
