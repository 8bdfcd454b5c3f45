package main

import (
	"cmp"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
)

// defaultWindow is how long one call watches, where the environment variable
// POLL_WINDOW does not say otherwise (a Go duration such as "30s"). A longer one
// costs fewer state transitions (a pause and a further call are three); a
// shorter one frees the function's concurrency sooner for other targets.
//
// maxWindow leaves time for the calls before the watch, within the function's
// timeout of 120 seconds and the state's of 150, and is well below how long a
// token is still good for when it is used.
const (
	defaultWindow = 60 * time.Second
	maxWindow     = 90 * time.Second
)

func main() {
	window, err := time.ParseDuration(cmp.Or(os.Getenv("POLL_WINDOW"), defaultWindow.String()))
	if err != nil || window <= 0 || window > maxWindow {
		// The function is deployed wrongly: fail its start.
		log.Fatalf("POLL_WINDOW must be a duration of more than 0 and at most %s", maxWindow)
	}
	auth, err := eksauth.FromEnv(awsenv.Config(), time.Now)
	if err != nil {
		log.Fatal(err) // the function is deployed wrongly: fail its start
	}
	poller := Poller{auth: auth, window: window, now: time.Now, random: rand.Float64}
	lambda.Start(edge.New("poll", os.Stdout, poller.Handle))
}
