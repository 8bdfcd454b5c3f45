package sts_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
)

func assumeInput() *sts.AssumeRoleInput {
	return &sts.AssumeRoleInput{RoleArn: aws.String(awsapitest.AccessRole().ARN()), RoleSessionName: aws.String("crossapply-run-1"), ExternalId: aws.String("tenant-7")}
}

func TestGetCallerIdentity(t *testing.T) {
	s := awsapitest.Start(t)
	out, err := sts.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Guest())).GetCallerIdentity(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *out.Arn != "arn:aws:iam::111111111111:user/guest" || *out.Account != awsapitest.Hub || !strings.HasPrefix(*out.UserId, "AIDA") {
		t.Errorf("identity %s of %s, %s", *out.Arn, *out.Account, *out.UserId)
	}
	if got := s.Calls()[awsapi.Call{Account: awsapitest.Hub, Service: "sts", Operation: "GetCallerIdentity"}]; got != 1 {
		t.Errorf("counted %d calls", got)
	}
}

func TestAssumeRoleAcrossAccounts(t *testing.T) {
	s := awsapitest.Start(t)
	ctx := context.Background()
	config := awsapitest.ConfigOf(s, awsapitest.Guest())
	out, err := sts.NewFromConfig(config).AssumeRole(ctx, assumeInput())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := *out.AssumedRoleUser.Arn, "arn:aws:sts::222222222222:assumed-role/crossapply-access/crossapply-run-1"; got != want {
		t.Errorf("session %s, want %s", got, want)
	}
	if left := time.Until(*out.Credentials.Expiration); left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %v, want an hour", left)
	}
	c := out.Credentials
	config.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	identity, err := sts.NewFromConfig(config).GetCallerIdentity(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	if *identity.Arn != *out.AssumedRoleUser.Arn || *identity.Account != awsapitest.Target {
		t.Errorf("the session is %s of %s", *identity.Arn, *identity.Account)
	}
}

func TestAssumeRoleRefusals(t *testing.T) {
	s := awsapitest.Start(t)
	tests := []struct {
		name   string
		change func(*sts.AssumeRoleInput)
		code   string
		status int
	}{
		{"wrong external id", func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String("tenant-8") }, "AccessDenied", 403},
		{"no external id", func(in *sts.AssumeRoleInput) { in.ExternalId = nil }, "AccessDenied", 403},
		{"role that does not exist", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:iam::222222222222:role/none") }, "AccessDenied", 403},
		{"role that does not trust the caller", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String(awsapitest.FunctionRole().ARN()) }, "AccessDenied", 403},
		{"no ARN", func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("crossapply-access-role") }, "ValidationError", 400},
		{"session name with a space", func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }, "ValidationError", 400},
		{"session name too long", func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String(strings.Repeat("a", 65)) }, "ValidationError", 400},
		{"duration too short", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(60) }, "ValidationError", 400},
		{"duration above the role's", func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(7200) }, "ValidationError", 400},
		{"parameter that is not supported", func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("me") }, "ValidationError", 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := assumeInput()
			tt.change(in)
			_, err := sts.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Guest())).AssumeRole(context.Background(), in)
			awsapitest.CheckCode(t, err, tt.code, tt.status)
		})
	}
}

func TestAuthenticationRefusals(t *testing.T) {
	clock := &awsapitest.Clock{}
	s := awsapitest.Start(t, func(c *awsapi.Config) { c.Now = clock.Now })
	ctx := context.Background()

	wrong := awsapitest.Guest()
	wrong.SecretAccessKey = "guess"
	_, err := sts.NewFromConfig(awsapitest.ConfigOf(s, wrong)).GetCallerIdentity(ctx, nil)
	awsapitest.CheckCode(t, err, "SignatureDoesNotMatch", 403)

	nobody := awsapitest.Guest()
	nobody.AccessKeyID = "AKIANOBODYNOBODY"
	_, err = sts.NewFromConfig(awsapitest.ConfigOf(s, nobody)).GetCallerIdentity(ctx, nil)
	awsapitest.CheckCode(t, err, "InvalidClientTokenId", 403)

	response := awsapitest.Get(t, s.URL()+"/?Action=GetCallerIdentity&Version=2011-06-15", nil)
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("an unsigned request: %s", response.Status)
	}

	_, err = sts.NewFromConfig(awsapitest.ConfigOf(s, awsapitest.Guest())).GetSessionToken(ctx, nil)
	awsapitest.CheckCode(t, err, "InvalidAction", 400)

	config := awsapitest.ConfigOf(s, awsapitest.Guest())
	out, err := sts.NewFromConfig(config).AssumeRole(ctx, assumeInput())
	if err != nil {
		t.Fatal(err)
	}
	clock.Advance(time.Hour + time.Second)
	c := out.Credentials
	config.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	_, err = sts.NewFromConfig(config).GetCallerIdentity(ctx, nil)
	awsapitest.CheckCode(t, err, "ExpiredToken", 403)
}

// routeTo sends requests for any host to the server, their Host header kept, as
// a proxy would. The verifier of EKS uses http.DefaultTransport.
func routeTo(t *testing.T, s *awsapi.Server) {
	t.Helper()
	endpoint, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	original := http.DefaultTransport
	http.DefaultTransport = roundTripper(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Host = r.URL.Host
		r.URL.Scheme, r.URL.Host = endpoint.Scheme, endpoint.Host
		return original.RoundTrip(r)
	})
	t.Cleanup(func() { http.DefaultTransport = original })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// mint makes a token for a cluster with the SDK, for the real STS host.
func mint(t *testing.T, config aws.Config, cluster string) string {
	t.Helper()
	config.BaseEndpoint = nil
	generator, err := token.NewGenerator(false, false)
	if err != nil {
		t.Fatal(err)
	}
	made, err := generator.GetWithSTS(cluster, sts.NewFromConfig(config))
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

func TestTheVerifierOfEKS(t *testing.T) {
	clock := &awsapitest.Clock{}
	s := awsapitest.Start(t, func(c *awsapi.Config) { c.Now = clock.Now })
	ctx := context.Background()
	config := awsapitest.ConfigOf(s, awsapitest.Guest())
	out, err := sts.NewFromConfig(config).AssumeRole(ctx, assumeInput())
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	config.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	good := mint(t, config, "orders")
	routeTo(t, s)

	identity, err := token.NewVerifier("orders", "aws", awsapitest.Region).Verify(good)
	if err != nil {
		t.Fatal(err)
	}
	if identity.CanonicalARN != awsapitest.AccessRole().ARN() || identity.SessionName != "crossapply-run-1" || identity.AccountID != awsapitest.Target {
		t.Errorf("identity %+v", identity)
	}

	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(good, "k8s-aws-v1."))
	if err != nil {
		t.Fatal(err)
	}
	tampered := strings.Replace(string(raw), "X-Amz-Expires=60", "X-Amz-Expires=900", 1)
	for name, refused := range map[string]func() error{
		"another cluster": func() error {
			_, err := token.NewVerifier("payments", "aws", awsapitest.Region).Verify(good)
			return err
		},
		"tampered with": func() error {
			_, err := token.NewVerifier("orders", "aws", awsapitest.Region).Verify("k8s-aws-v1." + base64.RawURLEncoding.EncodeToString([]byte(tampered)))
			return err
		},
		"signed with another secret": func() error {
			wrong := config
			wrong.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, "guess", *c.SessionToken)
			_, err := token.NewVerifier("orders", "aws", awsapitest.Region).Verify(mint(t, wrong, "orders"))
			return err
		},
	} {
		if refused() == nil {
			t.Errorf("a token %s was accepted", name)
		}
	}
	clock.Advance(14 * time.Minute)
	if _, err := token.NewVerifier("orders", "aws", awsapitest.Region).Verify(good); err != nil {
		t.Errorf("a token of 14 minutes was refused: %v", err)
	}
	clock.Advance(2 * time.Minute)
	if _, err := token.NewVerifier("orders", "aws", awsapitest.Region).Verify(good); err == nil {
		t.Error("a token of 16 minutes was accepted")
	}
}
