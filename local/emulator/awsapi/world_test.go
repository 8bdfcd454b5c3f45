package awsapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
)

const (
	hub    = "111111111111"
	target = "222222222222"
	region = "eu-west-1"
)

func allow(action, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[%q],"Resource":[%q]}]}`, action, resource)
}

func trust(principal, condition string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%s,"Action":"sts:AssumeRole","Condition":{%s}}]}`, principal, condition)
}

// Users of the world: an administrator of the hub account, and one who may only
// do a little.
func admin() iam.User {
	return iam.User{Account: hub, Name: "admin", AccessKeyID: "AKIAADMINADMINAD", SecretAccessKey: "admin/secret+", Policies: []string{allow("*", "*")}}
}

func guest() iam.User {
	return iam.User{Account: hub, Name: "guest", AccessKeyID: "AKIAGUESTGUESTGU", SecretAccessKey: "guest-secret", Policies: []string{
		allow("s3:GetObject", "arn:aws:s3:::runs/open/*"), allow("s3:PutObject", "arn:aws:s3:::runs/open/*"),
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::runs","Condition":{"StringLike":{"s3:prefix":"open/*"}}}}`,
		allow("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:111111111111:function:mine"),
		allow("eks:DescribeCluster", "arn:aws:eks:eu-west-1:111111111111:cluster/payments"),
		allow("sts:AssumeRole", "arn:aws:iam::222222222222:role/crossapply-access"),
	}}
}

func outsider() iam.User {
	return iam.User{Account: target, Name: "outsider", AccessKeyID: "AKIAOUTSIDEROUTS", SecretAccessKey: "outsider-secret", Policies: []string{allow("*", "*")}}
}

func accessRole() iam.Role {
	return iam.Role{
		Account: target, Name: "crossapply-access", Policies: []string{allow("eks:*", "*")},
		Trust: trust(`{"AWS":"arn:aws:iam::111111111111:root"}`, `"StringEquals":{"sts:ExternalId":"tenant-7"}`),
	}
}

func functionRole() iam.Role {
	return iam.Role{Account: hub, Name: "function", Trust: trust(`{"Service":"lambda.amazonaws.com"}`, `"StringEquals":{"aws:SourceAccount":"111111111111"}`)}
}

func machineRole() iam.Role {
	return iam.Role{
		Account: hub, Name: "machine", Trust: trust(`{"Service":"states.amazonaws.com"}`, `"ArnLike":{"aws:SourceArn":"arn:aws:states:eu-west-1:111111111111:stateMachine:*"}`),
		Policies: []string{allow("s3:*", "arn:aws:s3:::runs*"), allow("states:StartExecution", "*")},
	}
}

// testClock is real time that a test can move ahead.
type testClock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newServer(t *testing.T, change ...func(*awsapi.Config)) *awsapi.Server {
	t.Helper()
	c := awsapi.Config{
		Region:   region,
		Accounts: []iam.Account{{ID: hub, Alias: "hub"}, {ID: target, Alias: "target"}},
		Users:    []iam.User{admin(), guest(), outsider()},
		Roles:    []iam.Role{accessRole(), functionRole(), machineRole()},
		Buckets:  []s3.Bucket{{Name: "runs", Account: hub, Region: region}, {Name: "other", Account: target}},
		Clusters: []eks.Cluster{
			{Account: hub, Name: "payments", Endpoint: "https://127.0.0.1:6443", CA: []byte("PEM"), Version: "1.34", Tags: map[string]string{"env": "prod"}},
			{Account: target, Name: "orders", Endpoint: "https://127.0.0.1:6444", CA: []byte("PEM"), Version: "1.34"},
			{Account: target, Name: "young", Endpoint: "https://127.0.0.1:6445", CA: []byte("PEM"), Status: "CREATING"},
		},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := awsapi.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// configOf is an SDK configuration of a user; it does not retry, so that a test
// sees the first answer.
func configOf(s *awsapi.Server, u iam.User) aws.Config {
	c := s.UserConfig(u, region)
	c.RetryMaxAttempts = 1
	return c
}

// checkCode compares the code and the HTTP status of an AWS error.
func checkCode(t *testing.T, err error, code string, status int) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		t.Errorf("want error %s, got %v", code, err)
		return
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() != status {
		t.Errorf("%s with status %d, want %d", code, response.HTTPStatusCode(), status)
	}
}

// binaries is where the test function is built; TestMain removes it.
var binaries string

func TestMain(m *testing.M) {
	if binary := os.Getenv(worldProcess); binary != "" {
		fmt.Fprintln(os.Stderr, runWorld(binary))
		os.Exit(1)
	}
	var err error
	if binaries, err = os.MkdirTemp("", "awsapi-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(binaries)
	os.Exit(code)
}

// functionBinary builds the test function once per test run.
var functionBinary = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaries, "bootstrap")
	command := exec.Command("go", "build", "-tags", "lambda.norpc", "-o", binary, "./testdata/function")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the test function: %w\n%s", err, out)
	}
	return binary, nil
})

func withFunctions(t *testing.T, functions ...lambda.Function) func(*awsapi.Config) {
	t.Helper()
	binary, err := functionBinary()
	if err != nil {
		t.Fatal(err)
	}
	return func(c *awsapi.Config) {
		for _, f := range functions {
			f.Account, f.RoleARN = hub, functionRole().ARN()
			if f.Binary == "" {
				f.Binary = binary
			}
			c.Functions = append(c.Functions, f)
		}
	}
}

func get(t *testing.T, url string, header http.Header) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}
