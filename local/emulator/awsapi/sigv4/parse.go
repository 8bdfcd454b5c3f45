package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	timeFormat = "20060102T150405Z"
)

// Signature is what a request says about how it was signed.
type Signature struct {
	AccessKeyID string
	// Date, Region and Service are the credential scope.
	Date, Region, Service string
	SignedHeaders         []string
	Value                 string
	SessionToken          string
	Time                  time.Time
	// Presigned says that the signature lies in the query.
	Presigned bool
	// Expires is X-Amz-Expires of a presigned request; 0 when absent.
	Expires time.Duration
}

func (s *Signature) scope() string {
	return strings.Join([]string{s.Date, s.Region, s.Service, "aws4_request"}, "/")
}

// Parse reads the signature of a request. The error is an [Error] with reason
// [Missing] or [Incomplete].
func Parse(r *http.Request) (*Signature, error) {
	query := r.URL.Query()
	if header := r.Header.Get("Authorization"); header != "" {
		return parseHeader(r, header)
	}
	if query.Has("AWSAccessKeyId") {
		return nil, oldVersion()
	}
	if !query.Has("X-Amz-Signature") && !query.Has("X-Amz-Credential") {
		return nil, &Error{Reason: Missing, Message: "Request is missing Authentication Token"}
	}
	s := &Signature{Presigned: true, Value: query.Get("X-Amz-Signature"), SessionToken: query.Get("X-Amz-Security-Token")}
	if got := query.Get("X-Amz-Algorithm"); got != algorithm {
		return nil, incomplete("X-Amz-Algorithm must be %s, not %q", algorithm, got)
	}
	if text := query.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 || seconds > 604800 {
			return nil, incomplete("X-Amz-Expires must be between 0 and 604800 seconds, not %q", text)
		}
		s.Expires = time.Duration(seconds) * time.Second
	}
	return s, s.fill(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Date"))
}

func parseHeader(r *http.Request, header string) (*Signature, error) {
	rest, ok := strings.CutPrefix(header, algorithm)
	if strings.HasPrefix(header, "AWS ") {
		return nil, oldVersion()
	}
	if !ok {
		return nil, incomplete("Authorization header requires the algorithm %s", algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		parts[name] = value
	}
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if parts[name] == "" {
			return nil, incomplete("Authorization header requires '%s' parameter.", name)
		}
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		return nil, incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	s := &Signature{Value: parts["Signature"], SessionToken: r.Header.Get("X-Amz-Security-Token")}
	return s, s.fill(parts["Credential"], parts["SignedHeaders"], date)
}

func (s *Signature) fill(credential, signedHeaders, date string) error {
	// The access key id comes first and the scope has four parts.
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || parts[4] != "aws4_request" {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got %q", credential)
	}
	s.AccessKeyID, s.Date, s.Region, s.Service = parts[0], parts[1], parts[2], parts[3]
	t, err := time.Parse(timeFormat, date)
	if err != nil {
		return incomplete("Date must be in ISO-8601 'basic format'. Got %q.", date)
	}
	if s.Time = t; t.Format("20060102") != s.Date {
		return incomplete("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: %q != %q", s.Date, t.Format("20060102"))
	}
	s.SignedHeaders = strings.Split(strings.ToLower(signedHeaders), ";")
	if !slices.Contains(s.SignedHeaders, "host") {
		return incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}
