package main

import (
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	emulated "github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// The other tests keep the run bucket in memory. Here it is S3 by its protocol,
// with no more permissions than report has, and with more objects than one page
// of a list holds.
func TestReportFromS3(t *testing.T) {
	const targets = 1_010
	memory := planned(targets, budget(1))
	files := map[string][]any{}
	for i := range targets {
		memory.journaled(i, did(contract.Configured))
		if i == 7 {
			files["FAILED"] = append(files["FAILED"], recorded(failed(i, fault.ReadyTimeout, "not Ready")))
			continue
		}
		files["SUCCEEDED"] = append(files["SUCCEEDED"], recorded(succeeded(i, contract.OutcomeReady)))
	}
	memory.mapRun(files)
	client := newS3(t, memory)
	want, wantFull := report(t, memory, nil)
	got, full := report(t, runs.NewBucket(client, "bucket"), nil)
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(full, wantFull) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got.Counts[contract.OutcomeReady] != targets-1 || got.Status != contract.StatusSucceeded {
		t.Errorf("%s, %v", got.Status, got.Counts)
	}
}

// Without the execution's plan there is nothing to report on.
func TestReportFromS3WithoutAPlan(t *testing.T) {
	store := runs.NewBucket(newS3(t, bucket{}), "bucket")
	_, err := Reporter{store: store, now: time.Now}.Handle(t.Context(), contract.ReportInput{Execution: execution})
	if err == nil || !strings.Contains(err.Error(), "runs/nightly/plan.json") {
		t.Errorf("got %v", err)
	}
	if keys, err := store.List(t.Context(), prefix); err != nil || len(keys) != 0 {
		t.Errorf("wrote %q, %v", keys, err)
	}
}

// recorded adds to a child what Step Functions writes beside what report reads.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
func recorded(child map[string]any) map[string]any {
	const name = "0b8c3c1e-6d4f-4b62-9f6d-0b1f3a0c5d11"
	more := map[string]any{
		"ExecutionArn":        "arn:aws:states:eu-west-1:999999999999:execution:crossapply/Target:" + name,
		"InputDetails":        map[string]any{"Included": true},
		"Name":                name,
		"OutputDetails":       map[string]any{"Included": true},
		"RedriveCount":        0,
		"RedriveStatus":       "NOT_REDRIVABLE",
		"RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
		"StateMachineArn":     "arn:aws:states:eu-west-1:999999999999:stateMachine:crossapply/Target",
	}
	maps.Copy(more, child)
	return more
}

// newS3 returns report's own client of a bucket that holds the objects.
func newS3(t *testing.T, objects bucket) *s3.Client {
	t.Helper()
	function := iam.User{
		Account: awsapitest.Hub, Name: "report", AccessKeyID: "AKIAREPORTREPORT", SecretAccessKey: "secret",
		Policies: []string{
			awsapitest.Allow("s3:ListBucket", "arn:aws:s3:::bucket"),
			awsapitest.Allow("s3:GetObject", "arn:aws:s3:::bucket/"+runs.All),
			awsapitest.Allow("s3:PutObject", "arn:aws:s3:::bucket/"+runs.Reports+"*"),
			awsapitest.Allow("s3:GetObject", "arn:aws:s3:::bucket/"+runs.Reports+"*"), // the test does
		},
	}
	server := awsapitest.Start(t, func(c *awsapi.Config) {
		c.Users = append(c.Users, function)
		c.Buckets = []emulated.Bucket{{Name: "bucket", Account: awsapitest.Hub}}
	})
	person := s3.NewFromConfig(awsapitest.ConfigOf(server, awsapitest.Admin()))
	for key, body := range objects {
		_, err := person.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(key), Body: strings.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s3.NewFromConfig(awsapitest.ConfigOf(server, function))
}
