package sigv4_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/awsapi/sigv4"
)

// keys is a table of credentials.
type keys map[string]iam.Credential

func (k keys) Credential(id string) (iam.Credential, bool) {
	c, ok := k[id]
	return c, ok
}

func now() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) }

func verifier() sigv4.Verifier {
	return sigv4.Verifier{Now: now, Keys: keys{
		"AKIAUSERUSERUSER": {AccessKeyID: "AKIAUSERUSERUSER", SecretAccessKey: "user+secret"},
		"ASIASESSIONSESSI": {AccessKeyID: "ASIASESSIONSESSI", SecretAccessKey: "session/secret", SessionToken: "to/ken+=", Expires: now().Add(time.Hour)},
		"ASIAOVEROVEROVER": {AccessKeyID: "ASIAOVEROVEROVER", SecretAccessKey: "old", SessionToken: "old", Expires: now()},
	}}
}

var (
	user    = aws.Credentials{AccessKeyID: "AKIAUSERUSERUSER", SecretAccessKey: "user+secret"}
	session = aws.Credentials{AccessKeyID: "ASIASESSIONSESSI", SecretAccessKey: "session/secret", SessionToken: "to/ken+="}
)

// signed is a request of the SDK's own signer, as the server would see it.
type signed struct {
	credentials aws.Credentials
	method, url string
	header      map[string]string
	body        string
	service     string
	at          time.Time
	presign     bool
}

func (s signed) request(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.NewRequest(s.method, s.url, strings.NewReader(s.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range s.header {
		r.Header.Set(name, value)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = s.service == "s3" })
	sum := sha256.Sum256([]byte(s.body))
	hash := hex.EncodeToString(sum[:])
	if s.service == "s3" {
		if s.presign {
			hash = "UNSIGNED-PAYLOAD"
		} else {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
	}
	ctx := context.Background()
	if !s.presign {
		if err := signer.SignHTTP(ctx, s.credentials, r, hash, s.service, "eu-west-1", s.at); err != nil {
			t.Fatal(err)
		}
		return r
	}
	signedURL, _, err := signer.PresignHTTP(ctx, s.credentials, r, hash, s.service, "eu-west-1", s.at)
	if err != nil {
		t.Fatal(err)
	}
	if r.URL, err = url.Parse(signedURL); err != nil {
		t.Fatal(err)
	}
	return r
}

func verify(r *http.Request, body string) (iam.Credential, error) {
	s, err := sigv4.Parse(r)
	if err != nil {
		return iam.Credential{}, err
	}
	return verifier().Verify(r, s, []byte(body))
}

func TestVerifyAcceptsTheSDKsSigner(t *testing.T) {
	tests := map[string]signed{
		"post":                {user, "POST", "https://sts.eu-west-1.amazonaws.com/", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "Action=GetCallerIdentity&Version=2011-06-15", "sts", now(), false},
		"session":             {session, "POST", "http://127.0.0.1:4566/", nil, "x", "states", now(), false},
		"query":               {user, "GET", "http://127.0.0.1:4566/clusters?maxResults=5&b=%2F+x&a=&a-b=1&a=z", nil, "", "eks", now(), false},
		"escaped path":        {user, "POST", "http://127.0.0.1:4566/2015-03-31/functions/arn%3Aaws%3Alambda/invocations", nil, "{}", "lambda", now(), false},
		"object key":          {user, "PUT", "http://127.0.0.1:4566/b/a%20b/c%2Bd/%C3%A9%3D", nil, "data", "s3", now(), false},
		"spaces in header":    {user, "PUT", "http://127.0.0.1:4566/b/k", map[string]string{"X-Amz-Meta-Note": "  a   b  "}, "data", "s3", now(), false},
		"14 minutes old":      {user, "GET", "http://127.0.0.1/clusters", nil, "", "eks", now().Add(-14 * time.Minute), false},
		"14 minutes ahead":    {user, "GET", "http://127.0.0.1/clusters", nil, "", "eks", now().Add(14 * time.Minute), false},
		"presigned":           {session, "GET", "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", map[string]string{"x-k8s-aws-id": "payments"}, "", "sts", now(), true},
		"presigned, 14 min.":  {user, "GET", "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", nil, "", "sts", now().Add(-14 * time.Minute), true},
		"presigned, two days": {user, "GET", "http://127.0.0.1/b/k?X-Amz-Expires=604800", nil, "", "s3", now().Add(-48 * time.Hour), true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			credential, err := verify(tt.request(t), tt.body)
			if err != nil {
				t.Fatal(err)
			}
			if credential.AccessKeyID != tt.credentials.AccessKeyID {
				t.Errorf("verified as %s", credential.AccessKeyID)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	plain := signed{user, "POST", "http://127.0.0.1/clusters?a=b", map[string]string{"X-Amz-Meta-A": "b"}, "body", "eks", now(), false}
	presigned := signed{user, "GET", "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&X-Amz-Expires=60", map[string]string{"x-k8s-aws-id": "payments"}, "", "sts", now(), true}
	object := signed{user, "PUT", "http://127.0.0.1/b/k", nil, "data", "s3", now(), false}
	with := func(s signed, change func(*signed)) signed { change(&s); return s }
	query := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			q.Set(name, value)
			r.URL.RawQuery = q.Encode()
		}
	}
	tests := []struct {
		name   string
		signed signed
		tamper func(*http.Request)
		body   string
		reason sigv4.Reason
	}{
		{"not signed", plain, func(r *http.Request) { r.Header.Del("Authorization") }, "body", sigv4.Missing},
		{"no signature part", plain, func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host")
		}, "body", sigv4.Incomplete},
		{"other algorithm", plain, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, "body", sigv4.Incomplete},
		{"version 2", plain, func(r *http.Request) { r.Header.Set("Authorization", "AWS AKIA:x") }, "body", sigv4.OldVersion},
		{"no date", plain, func(r *http.Request) { r.Header.Del("X-Amz-Date") }, "body", sigv4.Incomplete},
		{"date of another day", plain, func(r *http.Request) { r.Header.Set("X-Amz-Date", "20260305T000000Z") }, "body", sigv4.Incomplete},
		{"unknown key", with(plain, func(s *signed) { s.credentials.AccessKeyID = "AKIANOBODYNOBODY" }), nil, "body", sigv4.UnknownKey},
		{"wrong secret", with(plain, func(s *signed) { s.credentials.SecretAccessKey = "other" }), nil, "body", sigv4.Mismatch},
		{"session without token", with(plain, func(s *signed) { s.credentials = session; s.credentials.SessionToken = "" }), nil, "body", sigv4.BadToken},
		{"token of another session", with(plain, func(s *signed) { s.credentials = session; s.credentials.SessionToken = "x" }), nil, "body", sigv4.BadToken},
		{"token on a user's key", with(plain, func(s *signed) { s.credentials.SessionToken = "x" }), nil, "body", sigv4.BadToken},
		{"expired session", with(plain, func(s *signed) {
			s.credentials = aws.Credentials{AccessKeyID: "ASIAOVEROVEROVER", SecretAccessKey: "old", SessionToken: "old"}
		}), nil, "body", sigv4.ExpiredToken},
		{"other body", plain, nil, "Body", sigv4.Mismatch},
		{"other path", plain, func(r *http.Request) { r.URL.Path = "/nodes" }, "body", sigv4.Mismatch},
		{"other query", plain, query("a", "c"), "body", sigv4.Mismatch},
		{"more query", plain, query("b", "c"), "body", sigv4.Mismatch},
		{"other method", plain, func(r *http.Request) { r.Method = "PUT" }, "body", sigv4.Mismatch},
		{"other host", plain, func(r *http.Request) { r.Host = "example.com" }, "body", sigv4.Mismatch},
		{"other signed header", plain, func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "c") }, "body", sigv4.Mismatch},
		{"16 minutes old", with(plain, func(s *signed) { s.at = now().Add(-16 * time.Minute) }), nil, "body", sigv4.Skewed},
		{"16 minutes ahead", with(plain, func(s *signed) { s.at = now().Add(16 * time.Minute) }), nil, "body", sigv4.Skewed},
		{"presigned, 16 minutes old", with(presigned, func(s *signed) { s.at = now().Add(-16 * time.Minute) }), nil, "", sigv4.Skewed},
		{"presigned, other cluster", presigned, func(r *http.Request) { r.Header.Set("x-k8s-aws-id", "orders") }, "", sigv4.Mismatch},
		{"presigned, other action", presigned, query("Action", "AssumeRole"), "", sigv4.Mismatch},
		{"presigned, longer", presigned, query("X-Amz-Expires", "900"), "", sigv4.Mismatch},
		{"presigned, far too long", presigned, query("X-Amz-Expires", "604801"), "", sigv4.Incomplete},
		{"presigned, no host signed", presigned, query("X-Amz-SignedHeaders", "x-k8s-aws-id"), "", sigv4.Incomplete},
		{
			"presigned object past its time",
			signed{user, "GET", "http://127.0.0.1/b/k?X-Amz-Expires=60", nil, "", "s3", now().Add(-61 * time.Second), true}, nil, "",
			sigv4.Expired,
		},
		{"object's body is another", object, nil, "DATA", sigv4.HashMismatch},
		{"object without hash", object, func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, "data", sigv4.Incomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.signed.request(t)
			if tt.tamper != nil {
				tt.tamper(r)
			}
			_, err := verify(r, tt.body)
			var refused *sigv4.Error
			if !errors.As(err, &refused) || refused.Reason != tt.reason {
				t.Errorf("want reason %d, got %v", tt.reason, err)
			}
		})
	}
}

func TestErrorsInEachProtocol(t *testing.T) {
	tests := []struct {
		reason sigv4.Reason
		codes  map[protocol.Protocol]string
	}{
		{
			sigv4.Missing,
			map[protocol.Protocol]string{
				protocol.Query:    "403 MissingAuthenticationToken",
				protocol.RESTJSON: "403 MissingAuthenticationTokenException",
				protocol.JSON:     "400 MissingAuthenticationTokenException",
				protocol.RESTXML:  "403 AccessDenied",
			},
		},
		{
			sigv4.Incomplete,
			map[protocol.Protocol]string{
				protocol.Query:    "400 IncompleteSignature",
				protocol.RESTJSON: "400 IncompleteSignatureException",
				protocol.RESTXML:  "400 AuthorizationHeaderMalformed",
			},
		},
		{
			sigv4.UnknownKey,
			map[protocol.Protocol]string{
				protocol.Query:    "403 InvalidClientTokenId",
				protocol.RESTJSON: "403 UnrecognizedClientException",
				protocol.JSON:     "400 UnrecognizedClientException",
				protocol.RESTXML:  "403 InvalidAccessKeyId",
			},
		},
		{sigv4.BadToken, map[protocol.Protocol]string{protocol.Query: "403 InvalidClientTokenId", protocol.RESTXML: "400 InvalidToken"}},
		{
			sigv4.ExpiredToken,
			map[protocol.Protocol]string{
				protocol.Query:    "403 ExpiredToken",
				protocol.RESTJSON: "403 ExpiredTokenException",
				protocol.RESTXML:  "400 ExpiredToken",
			},
		},
		{
			sigv4.Mismatch,
			map[protocol.Protocol]string{
				protocol.Query:    "403 SignatureDoesNotMatch",
				protocol.RESTJSON: "403 InvalidSignatureException",
				protocol.RESTXML:  "403 SignatureDoesNotMatch",
			},
		},
		{sigv4.Skewed, map[protocol.Protocol]string{protocol.Query: "403 SignatureDoesNotMatch", protocol.RESTXML: "403 RequestTimeTooSkewed"}},
	}
	for _, tt := range tests {
		for p, want := range tt.codes {
			e := (&sigv4.Error{Reason: tt.reason}).For(p)
			if got := fmt.Sprint(e.Status, " ", e.Code); got != want {
				t.Errorf("reason %d in protocol %d: %s, want %s", tt.reason, p, got, want)
			}
		}
	}
}

// example is an upload in the documentation of S3, signed by AWS itself for
// 24 May 2013 with the keys that all its examples use.
type example struct {
	header    map[string]string
	length    int64
	signed    string
	signature string
	body      string
}

const exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func (e example) verified(t *testing.T) (*http.Request, *sigv4.Signature) {
	t.Helper()
	r, err := http.NewRequest("PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", strings.NewReader(e.body))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = e.length
	for name, value := range e.header {
		r.Header.Set(name, value)
	}
	r.Header.Set("X-Amz-Date", "20130524T000000Z")
	r.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
	r.Header.Set("Content-Encoding", "aws-chunked")
	r.Header.Set("X-Amz-Decoded-Content-Length", "66560")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"+
		"SignedHeaders="+e.signed+",Signature="+e.signature)
	s, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	v := sigv4.Verifier{
		Now:  func() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) },
		Keys: keys{"AKIAIOSFODNN7EXAMPLE": {SecretAccessKey: exampleSecret}},
	}
	if _, err := v.Verify(r, s, []byte(e.body)); err != nil {
		t.Fatal(err)
	}
	return r, s
}

func chunk(size int, signature string) string {
	return fmt.Sprintf("%x;chunk-signature=%s\r\n%s\r\n", size, signature, strings.Repeat("a", size))
}

// docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func TestDecodeChunkedGolden(t *testing.T) {
	upload := example{
		header:    map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
		length:    66824,
		signed:    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		signature: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		body: chunk(65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648") +
			chunk(1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497") +
			chunk(0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
	}
	r, s := upload.verified(t)
	payload, _, err := s.DecodeChunked(r, []byte(upload.body), exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	if string(payload) != strings.Repeat("a", 66560) {
		t.Errorf("payload of %d bytes", len(payload))
	}
	for name, broken := range map[string]string{
		"changed": strings.Replace(upload.body, "aaaa", "aaab", 1), "cut": upload.body[:65000], "empty": "", "size": "zz\r\n",
		"huge": "7fffffff;chunk-signature=x\r\nabc",
	} {
		var refused *sigv4.Error
		if _, _, err := s.DecodeChunked(r, []byte(broken), exampleSecret); !errors.As(err, &refused) {
			t.Errorf("%s: want an error, got %v", name, err)
		}
	}
}

// docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func TestDecodeChunkedTrailerGolden(t *testing.T) {
	upload := example{
		header:    map[string]string{"X-Amz-Content-Sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "X-Amz-Trailer": "x-amz-checksum-crc32c"},
		length:    66946,
		signed:    "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
		signature: "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
		body: chunk(65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2") +
			chunk(1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7") +
			"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
			"x-amz-checksum-crc32c:sOO8/Q==\r\n" +
			"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
	}
	r, s := upload.verified(t)
	payload, trailer, err := s.DecodeChunked(r, []byte(upload.body), exampleSecret)
	if err != nil {
		t.Fatal(err)
	}
	if len(payload) != 66560 || trailer.Get("X-Amz-Checksum-Crc32c") != "sOO8/Q==" {
		t.Errorf("payload of %d bytes, trailer %v", len(payload), trailer)
	}
	tampered := strings.Replace(upload.body, "sOO8/Q==", "AAAAAA==", 1)
	if _, _, err := s.DecodeChunked(r, []byte(tampered), exampleSecret); err == nil {
		t.Error("another checksum under the same signature was accepted")
	}
}

func TestDecodeChunkedTrailer(t *testing.T) {
	r, err := http.NewRequest("PUT", "http://127.0.0.1/b/k", io.NopCloser(strings.NewReader("")))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	payload, trailer, err := (&sigv4.Signature{}).DecodeChunked(r, []byte("5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	if string(payload) != "hello world" || trailer.Get("X-Amz-Checksum-Crc32") != "DUoRhQ==" {
		t.Errorf("payload %q, trailer %v", payload, trailer)
	}
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")
	if _, _, err := (&sigv4.Signature{}).DecodeChunked(r, nil, ""); err == nil {
		t.Error("a form that is not supported was accepted")
	}
}

func FuzzDecodeChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n"))
	f.Add([]byte("7fffffff\r\n"))
	f.Add([]byte("0\r\n\x00:\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &http.Request{Header: http.Header{"X-Amz-Content-Sha256": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}}}
		payload, _, err := (&sigv4.Signature{}).DecodeChunked(r, body, "")
		if err == nil && len(payload) > len(body) {
			t.Errorf("%d bytes out of %d", len(payload), len(body))
		}
	})
}
