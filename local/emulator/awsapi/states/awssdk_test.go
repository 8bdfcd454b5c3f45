package states_test

import (
	"encoding/json"
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

func TestDescribeExecution(t *testing.T) {
	const describe = "arn:aws:states:::aws-sdk:sfn:describeExecution"
	w := newWorld(t)
	machine := w.create(t, "sum", pass)
	succeeded := w.start(t, machine, "one", `{"a": 41}`)
	w.wait(t, succeeded)
	running := w.start(t, w.create(t, "forever", forever), "one", `{}`)

	role := awsapitest.MachineRole()
	role.Policies = []string{awsapitest.Allow("states:DescribeExecution", "arn:aws:states:eu-west-1:111111111111:execution:sum:*")}
	if err := w.aws.IAM.PutRole(role); err != nil {
		t.Fatal(err)
	}
	out := w.run(t, "m1", describe, fmt.Sprintf(`{"ExecutionArn":%q}`, succeeded))
	var got struct {
		ExecutionArn, StateMachineArn, Name, Status, Input, Output, StartDate, StopDate string
		Error, Cause                                                                    *string
	}
	if err := json.Unmarshal([]byte(aws.ToString(out.Output)), &got); err != nil {
		t.Fatalf("%v: %s", err, aws.ToString(out.Cause))
	}
	if got.ExecutionArn != succeeded || got.StateMachineArn != machine || got.Name != "one" || got.Status != "SUCCEEDED" ||
		got.Input != `{"a": 41}` || got.Output != `{"sum":42}` || len(got.StartDate) != len("2026-01-02T03:04:05.678Z") || got.Error != nil {
		t.Errorf("%+v", got)
	}
	for name, tt := range map[string]struct{ arn, failure, cause string }{
		"missing":     {strings.Replace(succeeded, ":one", ":two", 1), "Sfn.ExecutionDoesNotExistException", "(Service: Sfn, Status Code: 400, Request ID: "},
		"nonsense":    {"arn", "Sfn.InvalidArnException", "Invalid Arn"},
		"not-allowed": {running, "Sfn.SfnException", "not authorized to perform: states:DescribeExecution"},
	} {
		out := w.run(t, name, describe, fmt.Sprintf(`{"ExecutionArn":%q}`, tt.arn))
		if aws.ToString(out.Error) != tt.failure || !strings.Contains(aws.ToString(out.Cause), tt.cause) {
			t.Errorf("%s: %s: %s", name, aws.ToString(out.Error), aws.ToString(out.Cause))
		}
	}
}

func TestIntegrationThatIsNotSupported(t *testing.T) {
	w := newWorld(t)
	for _, resource := range []string{
		"aws-sdk:s3:getObject", "aws-sdk:sfn:startExecution", "aws-sdk:s3:putObject.waitForTaskToken", "aws-sdk:s3:PutObject", "s3:putObject",
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
		Policies: []string{awsapitest.Allow("states:DescribeExecution", "arn:aws-cn:states:*")}}
	if err := w.aws.IAM.PutRole(role); err != nil {
		t.Fatal(err)
	}
	w.client, w.role = sfn.NewFromConfig(w.aws.UserConfig(admin, "cn-north-1")), role.ARN()
	const arguments = `{"ExecutionArn":"{% $states.context.Execution.Id %}"}`
	if out := w.run(t, "ours", "arn:aws-cn:states:::aws-sdk:sfn:describeExecution", arguments); out.Status != types.ExecutionStatusSucceeded {
		t.Errorf("%s: %s", aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	out := w.run(t, "other", "arn:aws:states:::aws-sdk:sfn:describeExecution", arguments)
	if !strings.HasPrefix(*out.ExecutionArn, "arn:aws-cn:") || aws.ToString(out.Error) != "States.Runtime" ||
		!strings.Contains(aws.ToString(out.Cause), "'T' (entered at the event id #2). The resource belongs to a different partition") {
		t.Errorf("%s: %s", aws.ToString(out.Error), aws.ToString(out.Cause))
	}
	// Keys of one partition are unknown in another.
	_, err := sfn.NewFromConfig(w.aws.UserConfig(awsapitest.Admin(), "cn-north-1")).ListStateMachines(t.Context(), nil)
	awsapitest.CheckCode(t, err, "UnrecognizedClientException", 400)
}
