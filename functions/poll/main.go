package main

import (
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/kube"
)

func main() {
	window, err := awsenv.PollWindowFrom()
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	auth, err := eksauth.FromEnv(awsenv.Config(), time.Now)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	poller := Poller{auth: auth, clusters: new(kube.Clusters), window: window, now: time.Now, random: rand.Float64}
	lambda.Start(edge.New("poll", os.Stdout, poller.Handle))
}
