package main

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	emulated "github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// The other tests keep the run bucket in memory. Here it is S3 by its protocol, with
// no more permissions than review has, and with more objects than one page of a list
// holds.
func TestReviewFromS3(t *testing.T) {
	const targets = 1_010
	memory := planned([]int{targets, 1}, func(run *contract.Run, _ *contract.Layout) { run.OnFailure = contract.OnFailureRollback })
	var children []map[string]any
	for i := range targets {
		memory.journaled(contract.PhaseWave, i, 1)
		if i == 7 {
			children = append(children, failed(i, fault.ResourceFailed))
			continue
		}
		children = append(children, returned(i, contract.OutcomeReady))
	}
	memory.results(1, children...)
	store := runs.NewBucket(newS3(t, memory), "bucket")
	want := review(t, memory, afterWave(1, 1), now)
	for range 2 {
		if got := review(t, store, afterWave(1, 1), now); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if want.Total != targets || want.Phase.Kind != contract.PhaseRollback {
		t.Errorf("next is %+v", want)
	}
}

// newS3 returns review's own client of a bucket that holds the objects.
func newS3(t *testing.T, objects *bucket) *s3.Client {
	t.Helper()
	function := iam.User{
		Account: awsapitest.Hub, Name: "review", AccessKeyID: "AKIAREVIEWREVIEW", SecretAccessKey: "secret",
		Policies: []string{awsapitest.Allow("s3:ListBucket", "arn:aws:s3:::bucket")},
	}
	all := deployment.Functions()
	for _, o := range all[slices.Index(deployment.FunctionNames(), "review")].Objects {
		if o.Read {
			function.Policies = append(function.Policies, awsapitest.Allow("s3:GetObject", "arn:aws:s3:::bucket/"+o.Keys))
		}
		if o.Write {
			function.Policies = append(function.Policies, awsapitest.Allow("s3:PutObject", "arn:aws:s3:::bucket/"+o.Keys))
		}
	}
	server := awsapitest.Start(t, func(c *awsapi.Config) {
		c.Users = append(c.Users, function)
		c.Buckets = []emulated.Bucket{{Name: "bucket", Account: awsapitest.Hub}}
	})
	person := s3.NewFromConfig(awsapitest.ConfigOf(server, awsapitest.Admin()))
	for key, body := range objects.objects {
		_, err := person.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key), Body: strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s3.NewFromConfig(awsapitest.ConfigOf(server, function))
}
