package sts

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

const apiVersion = "2011-06-15"

// Service is the STS endpoint. It expects the caller in the request's context.
type Service struct {
	directory *iam.Directory
}

// New returns an endpoint over the directory.
func New(directory *iam.Directory) *Service { return &Service{directory} }

// Operation names the API operation that the request means.
func (s *Service) Operation(r *http.Request) string {
	if err := r.ParseForm(); err != nil {
		return ""
	}
	return r.Form.Get("Action")
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result, err := s.serve(r)
	if err != nil {
		protocol.Query.WriteError(w, r, err)
		return
	}
	write(w, r, result)
}

func (s *Service) serve(r *http.Request) (any, error) {
	if err := r.ParseForm(); err != nil {
		return nil, protocol.Errorf(http.StatusBadRequest, "MalformedQueryString", "The query string cannot be read: %v", err)
	}
	origin, ok := iam.FromContext(r.Context())
	if !ok {
		return nil, errors.New("request without a caller")
	}
	action, version := r.Form.Get("Action"), r.Form.Get("Version")
	if action == "" {
		return nil, protocol.Errorf(http.StatusBadRequest, "MissingAction", "The request must contain the parameter Action.")
	}
	if version != apiVersion {
		return nil, protocol.Errorf(http.StatusBadRequest, "InvalidAction", "Could not find operation %s for version %s", action, version)
	}
	switch action {
	case "GetCallerIdentity":
		// It needs no permission: docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
		return getCallerIdentityResponse{Result: callerIdentity{
			Account: origin.Caller.Account, Arn: origin.Caller.ARN, UserID: origin.Caller.UserID,
		}}, nil
	case "AssumeRole":
		return s.assumeRole(origin.Caller, r.Form)
	}
	return nil, protocol.Errorf(http.StatusBadRequest, "InvalidAction", "The operation %s of sts is not supported by this endpoint", action)
}

func (s *Service) assumeRole(caller iam.Caller, form url.Values) (any, error) {
	in, err := assumeRoleInput(form)
	if err != nil {
		return nil, err
	}
	session, err := s.directory.AssumeRole(caller, in)
	var denied *iam.AccessDeniedError
	var invalid *iam.ValidationError
	switch {
	case errors.As(err, &denied):
		return nil, protocol.Errorf(http.StatusForbidden, "AccessDenied", "%v", denied)
	case errors.As(err, &invalid):
		return nil, protocol.Errorf(http.StatusBadRequest, "ValidationError", "%v", invalid)
	case err != nil:
		return nil, err
	}
	return assumeRoleResponse{Result: assumeRoleResult{
		AssumedRoleUser: assumedRoleUser{Arn: session.Caller.ARN, AssumedRoleID: session.AssumedRoleID},
		Credentials: credentials{
			AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey,
			SessionToken: session.SessionToken, Expiration: timestamp(session.Expires),
		},
	}}, nil
}

// The constraints of docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
var (
	roleARNPattern     = regexp.MustCompile(`^arn:aws[\w-]*:iam::\d{12}:role/.+$`)
	sessionNamePattern = regexp.MustCompile(`^[\w+=,.@-]*$`)
	externalIDPattern  = regexp.MustCompile(`^[\w+=,.@:\\/-]*$`)
)

func assumeRoleInput(form url.Values) (iam.AssumeRoleInput, error) {
	in := iam.AssumeRoleInput{
		RoleARN: form.Get("RoleArn"), SessionName: form.Get("RoleSessionName"), Policy: form.Get("Policy"),
	}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		switch name {
		case "Action", "Version", "RoleArn", "RoleSessionName", "Policy", "ExternalId", "DurationSeconds":
		default:
			return in, protocol.Errorf(http.StatusBadRequest, "ValidationError", "The parameter %s of AssumeRole is not supported by this endpoint", name)
		}
	}
	if err := constrain("roleArn", in.RoleARN, 20, 2048, nil); err != nil {
		return in, err
	}
	if !roleARNPattern.MatchString(in.RoleARN) {
		return in, protocol.Errorf(http.StatusBadRequest, "ValidationError", "%s is invalid", in.RoleARN)
	}
	if err := constrain("roleSessionName", in.SessionName, 2, 64, sessionNamePattern); err != nil {
		return in, err
	}
	if form.Has("ExternalId") {
		id := form.Get("ExternalId")
		if err := constrain("externalId", id, 2, 1224, externalIDPattern); err != nil {
			return in, err
		}
		in.ExternalID = &id
	}
	if text := form.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 900 || seconds > 43200 {
			return in, invalid("durationSeconds", text, "Member must have value between 900 and 43200")
		}
		in.Duration = time.Duration(seconds) * time.Second
	}
	return in, nil
}

func constrain(name, value string, shortest, longest int, pattern *regexp.Regexp) error {
	switch {
	case len(value) < shortest:
		return invalid(name, value, fmt.Sprintf("Member must have length greater than or equal to %d", shortest))
	case len(value) > longest:
		return invalid(name, value, fmt.Sprintf("Member must have length less than or equal to %d", longest))
	case pattern != nil && !pattern.MatchString(value):
		return invalid(name, value, "Member must satisfy regular expression pattern: "+strings.Trim(pattern.String(), "^$"))
	}
	return nil
}

func invalid(name, value, constraint string) error {
	return protocol.Errorf(http.StatusBadRequest, "ValidationError",
		"1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, name, constraint)
}

type callerIdentity struct {
	Arn     string `json:"Arn"`
	UserID  string `xml:"UserId" json:"UserId"`
	Account string `json:"Account"`
}

type getCallerIdentityResponse struct {
	XMLName  xml.Name       `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse" json:"-"`
	Result   callerIdentity `xml:"GetCallerIdentityResult" json:"GetCallerIdentityResult"`
	Metadata metadata       `xml:"ResponseMetadata" json:"ResponseMetadata"`
}

type assumeRoleResponse struct {
	XMLName  xml.Name         `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse" json:"-"`
	Result   assumeRoleResult `xml:"AssumeRoleResult" json:"AssumeRoleResult"`
	Metadata metadata         `xml:"ResponseMetadata" json:"ResponseMetadata"`
}

type assumeRoleResult struct {
	AssumedRoleUser assumedRoleUser
	Credentials     credentials
}

type assumedRoleUser struct {
	Arn           string
	AssumedRoleID string `xml:"AssumedRoleId" json:"AssumedRoleId"`
}

type credentials struct {
	AccessKeyID     string `xml:"AccessKeyId" json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      timestamp
}

type metadata struct {
	RequestID string `xml:"RequestId" json:"RequestId"`
}

// timestamp is ISO 8601 in XML and seconds since 1970 in JSON.
type timestamp time.Time

func (t timestamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(t).UTC().Format(time.RFC3339)), nil
}

func (t timestamp) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, time.Time(t).Unix(), 10), nil
}

func write(w http.ResponseWriter, r *http.Request, result any) {
	id := protocol.RequestID()
	var name string
	switch v := result.(type) {
	case getCallerIdentityResponse:
		v.Metadata.RequestID = id
		name, result = "GetCallerIdentityResponse", v
	case assumeRoleResponse:
		v.Metadata.RequestID = id
		name, result = "AssumeRoleResponse", v
	}
	contentType := "text/xml"
	encode := func() ([]byte, error) { return xml.Marshal(result) }
	if protocol.WantsJSON(r) {
		contentType = "application/json"
		encode = func() ([]byte, error) { return json.Marshal(map[string]any{name: result}) }
	}
	body, err := encode()
	if err != nil {
		protocol.Query.WriteError(w, r, fmt.Errorf("encode %s: %w", name, err))
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Amzn-Requestid", id)
	_, _ = w.Write(body) // the client is gone; nobody is left to tell
}
