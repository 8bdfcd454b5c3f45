package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// MaxSkew is how far the time of a signature may lie from the server's, both
// ways. It is also how long a presigned request outside S3 lives, whatever its
// X-Amz-Expires says, as seen at STS.
const MaxSkew = 15 * time.Minute

const unsignedPayload = "UNSIGNED-PAYLOAD"

// Keys finds the secret behind an access key id; [iam.Directory] is one.
type Keys interface {
	Credential(accessKeyID string) (iam.Credential, bool)
}

// Verifier checks signatures.
type Verifier struct {
	Keys Keys
	Now  func() time.Time
}

// Verify checks that the request, with this body, was signed with the secret
// of its access key, recently, and that a session's token belongs to it and has
// not expired. It returns the credential used. The error is an [Error].
func (v Verifier) Verify(r *http.Request, s *Signature, body []byte) (iam.Credential, error) {
	credential, ok := v.Keys.Credential(s.AccessKeyID)
	if !ok {
		return iam.Credential{}, &Error{UnknownKey, "The security token included in the request is invalid."}
	}
	if subtle.ConstantTimeCompare([]byte(credential.SessionToken), []byte(s.SessionToken)) != 1 {
		return iam.Credential{}, &Error{BadToken, "The security token included in the request is invalid."}
	}
	if !credential.Expires.IsZero() && !v.Now().Before(credential.Expires) {
		return iam.Credential{}, &Error{ExpiredToken, "The security token included in the request is expired"}
	}
	if err := v.checkTime(s); err != nil {
		return iam.Credential{}, err
	}
	payloadHash, err := payloadHash(r, s, body)
	if err != nil {
		return iam.Credential{}, err
	}
	want := s.sign(credential.SecretAccessKey, algorithm+"\n"+s.Time.Format(timeFormat)+"\n"+s.scope()+"\n"+hexHash(canonicalRequest(r, s, payloadHash)))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.Value)) != 1 {
		return iam.Credential{}, &Error{Mismatch, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."}
	}
	return credential, nil
}

func (v Verifier) checkTime(s *Signature) error {
	now := v.Now().UTC()
	if s.Time.After(now.Add(MaxSkew)) {
		return &Error{Skewed, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 15 min.)",
			s.Time.Format(timeFormat), now.Add(MaxSkew).Format(timeFormat), now.Format(timeFormat))}
	}
	if s.Presigned && s.Service == "s3" {
		if now.After(s.Time.Add(s.Expires)) {
			return &Error{Expired, "Request has expired"}
		}
		return nil
	}
	if s.Time.Before(now.Add(-MaxSkew)) {
		return &Error{Skewed, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 15 min.)",
			s.Time.Format(timeFormat), now.Add(-MaxSkew).Format(timeFormat), now.Format(timeFormat))}
	}
	return nil
}

// payloadHash is the last line of the canonical request. S3 takes it from a
// header, which may say that the body is not signed or is signed in chunks;
// elsewhere it is always the hash of the body.
func payloadHash(r *http.Request, s *Signature, body []byte) (string, error) {
	actual := hexHash(string(body))
	if s.Service != "s3" {
		return actual, nil
	}
	stated := r.Header.Get("X-Amz-Content-Sha256")
	switch {
	case stated == "" && s.Presigned:
		return unsignedPayload, nil
	case stated == "":
		return "", incomplete("Missing required header for this request: x-amz-content-sha256")
	case stated == unsignedPayload || strings.HasPrefix(stated, "STREAMING-"):
		return stated, nil
	case stated != actual:
		return "", &Error{HashMismatch, "The provided 'x-amz-content-sha256' header does not match what was computed."}
	}
	return stated, nil
}

func canonicalRequest(r *http.Request, s *Signature, payloadHash string) string {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	// S3 escapes the path once; every other service escapes it twice, so what
	// came over the wire is escaped again.
	if s.Service == "s3" {
		path = escape(r.URL.Path, "/")
	} else {
		path = escape(path, "/")
	}
	return strings.Join([]string{
		r.Method, path, canonicalQuery(r.URL.Query()), canonicalHeaders(r, s.SignedHeaders),
		strings.Join(s.SignedHeaders, ";"), payloadHash,
	}, "\n")
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		if name == "X-Amz-Signature" {
			continue
		}
		for _, value := range values {
			pairs = append(pairs, escape(name, "")+"="+escape(value, ""))
		}
	}
	slices.SortFunc(pairs, func(a, b string) int {
		// By name first: "=" sorts after some characters that a name may hold.
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		if c := strings.Compare(nameA, nameB); c != 0 {
			return c
		}
		return strings.Compare(valueA, valueB)
	})
	return strings.Join(pairs, "&")
}

func canonicalHeaders(r *http.Request, names []string) string {
	var b strings.Builder
	for _, name := range names {
		var values []string
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		default:
			for _, value := range r.Header.Values(name) {
				values = append(values, strings.Join(strings.Fields(value), " "))
			}
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	return b.String()
}

// escape is the UriEncode of the specification: all but unreserved characters
// and those in keep become %XX.
func escape(text, keep string) string {
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; strings.IndexByte(unreserved, c) >= 0 || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// sign derives the signing key of the scope and signs the text with it.
func (s *Signature) sign(secret, text string) string {
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Date, s.Region, s.Service, "aws4_request", text} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part))
		key = mac.Sum(nil)
	}
	return hex.EncodeToString(key)
}

func hexHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
