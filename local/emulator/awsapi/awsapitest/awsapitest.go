// Package awsapitest starts a local AWS for the tests of its services, as
// net/http/httptest does for handlers: two accounts with a few users, roles,
// buckets and clusters, which [Start] lets a test change.
package awsapitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
)

// The accounts, and the Region of what says none.
const (
	Hub    = "111111111111"
	Target = "222222222222"
	Region = "eu-west-1"
)

// Allow is an identity policy that allows one action on one resource.
func Allow(action, resource string) string { return policy("Allow", action, resource) }

// Deny is an identity policy that denies one action on one resource.
func Deny(action, resource string) string { return policy("Deny", action, resource) }

func policy(effect, action, resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":%q,"Action":[%q],"Resource":[%q]}]}`, effect, action, resource)
}

// Trust is a trust policy of one statement; its condition may be empty.
func Trust(principal, condition string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":%s,"Action":"sts:AssumeRole","Condition":{%s}}]}`, principal, condition)
}

// Admin may do everything in the hub account.
func Admin() iam.User {
	return iam.User{
		Account: Hub, Name: "admin", AccessKeyID: "AKIAADMINADMINAD", SecretAccessKey: "admin/secret+",
		Policies: []string{Allow("*", "*")},
	}
}

// Guest may do a little in the hub account.
func Guest() iam.User {
	return iam.User{
		Account: Hub, Name: "guest", AccessKeyID: "AKIAGUESTGUESTGU", SecretAccessKey: "guest-secret",
		Policies: []string{
			Allow("s3:GetObject", "arn:aws:s3:::runs/open/*"), Allow("s3:PutObject", "arn:aws:s3:::runs/open/*"),
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::runs",
				"Condition":{"StringLike":{"s3:prefix":"open/*"}}}}`,
			Allow("lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:111111111111:function:mine"),
			Allow("eks:DescribeCluster", "arn:aws:eks:eu-west-1:111111111111:cluster/payments"),
			Allow("sts:AssumeRole", "arn:aws:iam::222222222222:role/crossapply-access"),
		},
	}
}

// Outsider may do everything in the target account.
func Outsider() iam.User {
	return iam.User{
		Account: Target, Name: "outsider", AccessKeyID: "AKIAOUTSIDEROUTS", SecretAccessKey: "outsider-secret",
		Policies: []string{Allow("*", "*")},
	}
}

// AccessRole is a role of the target account that the hub account may assume,
// with an external id.
func AccessRole() iam.Role {
	return iam.Role{
		Account: Target, Name: "crossapply-access", Policies: []string{Allow("eks:*", "*")},
		Trust: Trust(`{"AWS":"arn:aws:iam::111111111111:root"}`, `"StringEquals":{"sts:ExternalId":"tenant-7"}`),
	}
}

// FunctionRole is a role of the hub account that Lambda may assume.
func FunctionRole() iam.Role {
	return iam.Role{
		Account: Hub, Name: "function",
		Trust: Trust(`{"Service":"lambda.amazonaws.com"}`, `"StringEquals":{"aws:SourceAccount":"111111111111"}`),
	}
}

// MachineRole is a role of the hub account that Step Functions may assume.
func MachineRole() iam.Role {
	return iam.Role{
		Account: Hub, Name: "machine",
		Trust:    Trust(`{"Service":"states.amazonaws.com"}`, `"ArnLike":{"aws:SourceArn":"arn:aws:states:eu-west-1:111111111111:stateMachine:*"}`),
		Policies: []string{Allow("s3:*", "arn:aws:s3:::runs*"), Allow("states:StartExecution", "*")},
	}
}

// Clock is real time that a test can move ahead.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now is the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

// Advance moves the clock ahead.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// Start starts a server that ends with the test.
func Start(tb testing.TB, change ...func(*awsapi.Config)) *awsapi.Server {
	tb.Helper()
	c := awsapi.Config{
		Region:   Region,
		Accounts: []iam.Account{{ID: Hub, Alias: "hub"}, {ID: Target, Alias: "target"}},
		Users:    []iam.User{Admin(), Guest(), Outsider()},
		Roles:    []iam.Role{AccessRole(), FunctionRole(), MachineRole()},
		Buckets:  []s3.Bucket{{Name: "runs", Account: Hub, Region: Region}, {Name: "other", Account: Target}},
		Clusters: []eks.Cluster{
			{Account: Hub, Name: "payments", Endpoint: "https://127.0.0.1:6443", CA: []byte("PEM"), Version: "1.34", Tags: map[string]string{"env": "prod"}},
			{Account: Target, Name: "orders", Endpoint: "https://127.0.0.1:6444", CA: []byte("PEM"), Version: "1.34"},
			{Account: Target, Name: "young", Endpoint: "https://127.0.0.1:6445", CA: []byte("PEM"), Status: "CREATING"},
		},
	}
	for _, f := range change {
		f(&c)
	}
	s, err := awsapi.Start(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// ConfigOf is an SDK configuration of a user. It does not retry, so that a test
// sees the first answer.
func ConfigOf(s *awsapi.Server, u iam.User) aws.Config {
	c := s.UserConfig(u, Region)
	c.RetryMaxAttempts = 1
	return c
}

// Send signs a request as a user at a time, and sends it. The hash of the body
// is the one in X-Amz-Content-Sha256, or the body's own.
func Send(tb testing.TB, r *http.Request, u iam.User, service string, now time.Time) *http.Response {
	tb.Helper()
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		var body []byte
		if r.Body != nil {
			var err error
			if body, err = io.ReadAll(r.Body); err != nil {
				tb.Fatal(err)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		hash = fmt.Sprintf("%x", sha256.Sum256(body))
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	keys := aws.Credentials{AccessKeyID: u.AccessKeyID, SecretAccessKey: u.SecretAccessKey}
	if err := signer.SignHTTP(context.Background(), keys, r, hash, service, Region, now); err != nil {
		tb.Fatal(err)
	}
	return send(tb, r)
}

// Get gets a URL without signing the request.
func Get(tb testing.TB, url string, header http.Header) *http.Response {
	tb.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	return send(tb, r)
}

func send(tb testing.TB, r *http.Request) *http.Response {
	tb.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { response.Body.Close() })
	return response
}

// CheckCode compares the code and the HTTP status of an AWS error.
func CheckCode(tb testing.TB, err error, code string, status int) {
	tb.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		tb.Errorf("want error %s, got %v", code, err)
		return
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() != status {
		tb.Errorf("%s with status %d, want %d", code, response.HTTPStatusCode(), status)
	}
}
