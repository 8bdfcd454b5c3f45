package eksauth_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
)

var (
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	target = contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}
	run    = contract.Run{Execution: "arn:aws:states:eu-west-1:999999999999:execution:crossapply:nightly", Name: "nightly"}
	keys   = aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
)

// The whole token for fixed keys and time: a change of any byte is a change of
// what clusters see.
func TestMintGolden(t *testing.T) {
	got, err := eksauth.Mint(t.Context(), keys, "eu-west-1", "payments", noon)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(got.Value, "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	const want = "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15" +
		"&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Feu-west-1%2Fsts%2Faws4_request" +
		"&X-Amz-Date=20260102T120000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host%3Bx-k8s-aws-id" +
		"&X-Amz-Signature=bac4503a92685fbe156067ceebb1ad1975a07ffbf4eb55ca72607ad537d3576e"
	if string(raw) != want {
		t.Errorf("got  %s\nwant %s", raw, want)
	}
	if !got.Expires.Equal(noon.Add(14 * time.Minute)) {
		t.Errorf("expires at %s", got.Expires)
	}
}

// aws-iam-authenticator is the code behind EKS: its generator must make the
// same token of the same keys.
func TestMintEqualsAuthenticator(t *testing.T) {
	for _, region := range []string{"eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"} {
		now := time.Now()
		got, err := eksauth.Mint(t.Context(), keys, region, "payments", now)
		if err != nil {
			t.Fatal(err)
		}
		client := sts.New(sts.Options{Region: region, Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })})
		generator, err := token.NewGenerator(false, false)
		if err != nil {
			t.Fatal(err)
		}
		want, err := generator.GetWithSTS("payments", client)
		if err != nil {
			t.Fatal(err)
		}
		// Its clock is its own: where a second passed in between, mint again.
		if dateOf(t, got.Value) != dateOf(t, want.Token) {
			got, err = eksauth.Mint(t.Context(), keys, region, "payments", now.Add(time.Second))
			if err != nil {
				t.Fatal(err)
			}
		}
		if got.Value != want.Token {
			t.Errorf("%s:\ngot  %s\nwant %s", region, got.Value, want.Token)
		}
	}
}

func urlOf(t *testing.T, value string) *url.URL {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(value, "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(string(raw))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func dateOf(t *testing.T, value string) string {
	t.Helper()
	return urlOf(t, value).Query().Get("X-Amz-Date")
}

// An endpoint override sends our own calls elsewhere, but never the cluster's.
func TestEndpointOverrideDoesNotReachTheToken(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
	got, err := eksauth.Mint(t.Context(), keys, "eu-west-1", "payments", noon)
	if err != nil {
		t.Fatal(err)
	}
	if u := urlOf(t, got.Value); u.Scheme != "https" || u.Host != "sts.eu-west-1.amazonaws.com" || u.Path != "/" {
		t.Errorf("the token points at %s://%s%s", u.Scheme, u.Host, u.Path)
	}
}

func TestTokenHidesItself(t *testing.T) {
	secret, err := eksauth.Mint(t.Context(), keys, "eu-west-1", "payments", noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%s", "%v", "%+v", "%#v"} {
		if shown := fmt.Sprintf(format, secret); strings.Contains(shown, "k8s-aws-v1.") {
			t.Errorf("%s shows the token: %s", format, shown)
		}
	}
}

// fakeSTS gives out sessions and counts them.
type fakeSTS struct {
	calls []sts.AssumeRoleInput
	err   error
	now   func() time.Time
}

func (f *fakeSTS) AssumeRole(_ context.Context, in *sts.AssumeRoleInput, _ ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	f.calls = append(f.calls, *in)
	if f.err != nil {
		return nil, f.err
	}
	return &sts.AssumeRoleOutput{Credentials: &ststypes.Credentials{
		AccessKeyId: aws.String("ASIA"), SecretAccessKey: aws.String("secret"), SessionToken: aws.String("session"),
		Expiration: aws.Time(f.now().Add(time.Hour)),
	}}, nil
}

func TestSessionsAreSharedWithinAnExecution(t *testing.T) {
	clock := noon
	now := func() time.Time { return clock }
	fake := &fakeSTS{now: now}
	auth := eksauth.New(eksauth.AccessRole{Partition: "aws", Name: "crossapply-access", ExternalID: "x-1"}, fake, now)
	mint := func(run contract.Run, target contract.Target) string {
		t.Helper()
		token, err := auth.Token(t.Context(), run, target)
		if err != nil {
			t.Fatal(err)
		}
		return token.Value
	}
	expectCalls := func(want int, why string) {
		t.Helper()
		if len(fake.calls) != want {
			t.Fatalf("%s: %d calls of AssumeRole, want %d", why, len(fake.calls), want)
		}
	}
	first := mint(run, target)
	expectCalls(1, "the first token")
	if mint(run, target) != first {
		t.Error("a fresh token is minted anew")
	}
	other := target
	other.Cluster = "ledger"
	if mint(run, other) == first {
		t.Error("two clusters share a token")
	}
	other.Region = "us-east-1"
	mint(run, other)
	expectCalls(1, "other clusters of the same account")
	clock = noon.Add(12 * time.Minute)
	if mint(run, target) == first {
		t.Error("a token near its end is used on")
	}
	expectCalls(1, "a new token of the same session")
	mint(contract.Run{Execution: "other", Name: "other"}, target)
	expectCalls(2, "another execution, whose session's name must be its own")
	other.Account = "222222222222"
	mint(run, other)
	expectCalls(3, "another account")
	clock = noon.Add(58 * time.Minute)
	mint(run, target)
	expectCalls(4, "a session near its end")

	in := fake.calls[0]
	if got := *in.RoleArn; got != "arn:aws:iam::111111111111:role/crossapply-access" {
		t.Errorf("assumed %s", got)
	}
	if *in.ExternalId != "x-1" || *in.RoleSessionName != "nightly" || *in.DurationSeconds != 3600 {
		t.Errorf("external id %q, session name %q, %d seconds", *in.ExternalId, *in.RoleSessionName, *in.DurationSeconds)
	}
}

// A token that the cluster refused is not used again, nor are the credentials
// that it was minted of.
func TestForget(t *testing.T) {
	fake := &fakeSTS{now: time.Now}
	auth := eksauth.New(eksauth.AccessRole{Partition: "aws", Name: "r", ExternalID: "x"}, fake, time.Now)
	other := target
	other.Account = "222222222222"
	tokens := func() {
		t.Helper()
		for _, target := range []contract.Target{target, other} {
			if _, err := auth.Token(t.Context(), run, target); err != nil {
				t.Fatal(err)
			}
		}
	}
	tokens()
	auth.Forget(run, target)
	tokens()
	if len(fake.calls) != 3 || *fake.calls[2].RoleArn != *fake.calls[0].RoleArn {
		t.Errorf("%d calls of AssumeRole, want 3, the last for the forgotten target", len(fake.calls))
	}
}

func TestAssumeRoleErrors(t *testing.T) {
	tests := []struct {
		err  error
		want fault.Name
	}{
		{&smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized"}, fault.AssumeRoleDenied},
		{&smithy.GenericAPIError{Code: "Throttling", Message: "slow"}, fault.Throttled},
		{&smithy.GenericAPIError{Code: "InternalFailure", Fault: smithy.FaultServer}, fault.AWSUnavailable},
		{&url.Error{Op: "Post", URL: "https://sts", Err: http.ErrServerClosed}, fault.AWSUnavailable},
		{&smithy.GenericAPIError{Code: "RegionDisabledException", Fault: smithy.FaultClient}, fault.AWSError},
	}
	for _, test := range tests {
		auth := eksauth.New(eksauth.AccessRole{Partition: "aws", Name: "r", ExternalID: "x"}, &fakeSTS{err: test.err}, time.Now)
		_, err := auth.Token(t.Context(), run, target)
		if fault.NameOf(err) != test.want {
			t.Errorf("%v: got %v, want %s", test.err, fault.NameOf(err), test.want)
		}
		if !strings.HasPrefix(err.Error(), target.String()) {
			t.Errorf("the message does not begin with the target: %s", err)
		}
	}
}

func TestSessionName(t *testing.T) {
	allowed := regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
	seen := map[string]string{}
	for _, name := range []string{
		"nightly", "a", "0b8c3c1e-6d4f-4b62-9f6d-0b1f3a0c5d11", "rollout 7", "rollout_7", "größe", "grösse",
		strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 80), strings.Repeat("ü", 80),
	} {
		got := eksauth.SessionName(name)
		if !allowed.MatchString(got) {
			t.Errorf("%q gives %q, which STS refuses", name, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%q and %q share %q", name, other, got)
		}
		seen[got] = name
	}
	if got := eksauth.SessionName("nightly"); got != "nightly" {
		t.Errorf("a name that STS takes was changed to %q", got)
	}
}
