package states_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// run runs one Task state with a resource and Arguments.
func (w *world) run(t *testing.T, name, resource, arguments string) *sfn.DescribeExecutionOutput {
	t.Helper()
	machine := w.create(t, name, fmt.Sprintf(
		`{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":%q,"Arguments":%s,"End":true}}}`, resource, arguments))
	return w.wait(t, w.start(t, machine, "x", `{}`))
}

func TestPutObject(t *testing.T) {
	w := newWorld(t)
	role := awsapitest.MachineRole()
	role.Policies = []string{awsapitest.Allow("s3:*", "arn:aws:s3:::runs/open/*"), awsapitest.Allow("s3:*", "arn:aws:s3:::nowhere/*")}
	if err := w.aws.IAM.PutRole(role); err != nil {
		t.Fatal(err)
	}
	for i, tt := range []struct{ name, arguments, body, failure, cause string }{
		{"an object", `{"Bucket":"runs","Key":"open/a","Body":{"b": [1.50, "<é>"]},"ContentType":"application/json"}`, `{"b":[1.50,"<é>"]}`, "", ""},
		{"a string", `{"Bucket":"runs","Key":"open/a","Body":"{% 'a' & $string(1) %}"}`, `"a1"`, "", ""},
		{"a number", `{"Bucket":"runs","Key":"open/a","Body":3}`, `3`, "", ""},
		{"nothing", `{"Bucket":"runs","Key":"open/a"}`, ``, "", ""},
		{"once", `{"Bucket":"runs","Key":"open/b","Body":1,"IfNoneMatch":"*"}`, ``, "", ""},
		{"twice", `{"Bucket":"runs","Key":"open/b","Body":2,"IfNoneMatch":"*"}`, ``, "S3.S3Exception", "(Service: S3, Status Code: 412, Request ID: "},
		{"a version that is not there", `{"Bucket":"runs","Key":"open/c","Body":2,"IfMatch":"\"0\""}`, ``, "S3.NoSuchKeyException", "Status Code: 404"},
		{"no bucket", `{"Bucket":"nowhere","Key":"a","Body":1}`, ``, "S3.NoSuchBucketException", "The specified bucket does not exist"},
		{"not allowed", `{"Bucket":"runs","Key":"closed/a","Body":1}`, ``, "S3.S3Exception", "not authorized to perform: s3:PutObject"},
		{"no key", `{"Bucket":"runs","Body":1}`, ``, "States.Runtime", "Key"},
		{"another argument", `{"Bucket":"runs","Key":"open/a","body":1}`, ``, "States.Runtime", "body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := w.run(t, fmt.Sprint("m", i), "arn:aws:states:::aws-sdk:s3:putObject", tt.arguments)
			if aws.ToString(out.Error) != tt.failure || !strings.Contains(aws.ToString(out.Cause), tt.cause) {
				t.Fatalf("%s: %s, want %s: %s", aws.ToString(out.Error), aws.ToString(out.Cause), tt.failure, tt.cause)
			}
			if tt.failure != "" {
				return
			}
			if !strings.HasPrefix(*out.Output, `{"ETag":"\"`) {
				t.Errorf("result %s", *out.Output)
			}
			if strings.Contains(tt.arguments, "open/a") {
				if got := w.object(t, "open/a"); got != tt.body {
					t.Errorf("object %s, want %s", got, tt.body)
				}
			}
		})
	}
}

func (w *world) object(t *testing.T, key string) string {
	t.Helper()
	out, err := s3.NewFromConfig(awsapitest.ConfigOf(w.aws, awsapitest.Admin())).GetObject(t.Context(),
		&s3.GetObjectInput{Bucket: aws.String("runs"), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Body.Close() }()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestIntegrationThatIsNotSupported(t *testing.T) {
	w := newWorld(t)
	for _, resource := range []string{
		"aws-sdk:s3:getObject", "aws-sdk:sfn:describeExecution", "events:putEvents.sync", "aws-sdk:s3:putObject.waitForTaskToken", "aws-sdk:s3:PutObject", "s3:putObject",
	} {
		_, err := w.client.CreateStateMachine(t.Context(), &sfn.CreateStateMachineInput{
			Name: aws.String("m"), RoleArn: &machineRole,
			Definition: aws.String(`{"QueryLanguage":"JSONata","StartAt":"T","States":{"T":{"Type":"Task","Resource":"arn:aws:states:::` + resource + `","End":true}}}`),
		})
		awsapitest.CheckCode(t, err, "InvalidDefinition", 400)
		if err != nil && !strings.Contains(err.Error(), "/States/T/Resource: the resource arn:aws:states:::"+resource) {
			t.Error(err)
		}
	}
}

// A machine runs in the partition of its Region, and so must its resources.
func TestPartitions(t *testing.T) {
	w := newWorld(t)
	const china = "333333333333"
	if err := w.aws.IAM.AddAccount(iam.Account{ID: china, Partition: "aws-cn"}); err != nil {
		t.Fatal(err)
	}
	admin := iam.User{Partition: "aws-cn", Account: china, Name: "admin", AccessKeyID: "AKIACHINACHINACH", SecretAccessKey: "china", Policies: awsapitest.Admin().Policies}
	if err := w.aws.IAM.PutUser(admin); err != nil {
		t.Fatal(err)
	}
	// The service principal is the same in China.
	role := iam.Role{Partition: "aws-cn", Account: china, Name: "machine", Trust: awsapitest.Trust(`{"Service":"states.amazonaws.com"}`, ""),
		Policies: []string{awsapitest.Allow("events:PutEvents", "arn:aws-cn:events:*")}}
	if err := w.aws.IAM.PutRole(role); err != nil {
		t.Fatal(err)
	}
	w.client, w.role = sfn.NewFromConfig(w.aws.UserConfig(admin, "cn-north-1")), role.ARN()
	const arguments = `{"Entries":[{"Source":"shop","DetailType":"Order","Detail":{}}]}`
	if out := w.run(t, "ours", "arn:aws-cn:states:::events:putEvents", arguments); out.Status != types.ExecutionStatusSucceeded {
		t.Errorf("%s: %s", aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	out := w.run(t, "other", "arn:aws:states:::events:putEvents", arguments)
	if !strings.HasPrefix(*out.ExecutionArn, "arn:aws-cn:") || aws.ToString(out.Error) != "States.Runtime" ||
		!strings.Contains(aws.ToString(out.Cause), "'T' (entered at the event id #2). The resource belongs to a different partition") {
		t.Errorf("%s: %s", aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	// Keys of one partition are unknown in another.
	_, err := sfn.NewFromConfig(w.aws.UserConfig(awsapitest.Admin(), "cn-north-1")).ListStateMachines(t.Context(), nil)
	awsapitest.CheckCode(t, err, "UnrecognizedClientException", 400)
}
