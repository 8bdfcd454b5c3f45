package sts

import (
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

// Service is the STS endpoint.
type Service struct {
	directory *iam.Directory
}

// New returns an endpoint over the directory.
func New(directory *iam.Directory) *Service { return &Service{directory} }

// Name implements [protocol.Service].
func (s *Service) Name() string { return "sts" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.Query }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation {
	if err := r.ParseForm(); err != nil {
		return protocol.Operation{Serve: refuse("MalformedQueryString", "The query string cannot be read: %v", err)}
	}
	op := protocol.Operation{Name: r.Form.Get("Action")}
	switch version := r.Form.Get("Version"); {
	case op.Name == "":
		op.Serve = refuse("MissingAction", "The request must contain the parameter Action.")
	case version != apiVersion:
		op.Serve = refuse("InvalidAction", "Could not find operation %s for version %s", op.Name, version)
	case op.Name == "GetCallerIdentity":
		op.Serve = getCallerIdentity
	case op.Name == "AssumeRole":
		op.Serve = s.assumeRole
	}
	return op
}

func refuse(code, format string, args ...any) func(http.ResponseWriter, *protocol.Request) error {
	return func(http.ResponseWriter, *protocol.Request) error {
		return protocol.Errorf(http.StatusBadRequest, code, format, args...)
	}
}

// getCallerIdentity needs no permission:
// docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func getCallerIdentity(w http.ResponseWriter, r *protocol.Request) error {
	identity := callerIdentity{Account: r.Caller.Account, Arn: r.Caller.ARN, UserID: r.Caller.UserID}
	return write(w, r, getCallerIdentityResponse{Result: identity, Metadata: metadataOf(r)})
}

func (s *Service) assumeRole(w http.ResponseWriter, r *protocol.Request) error {
	in, err := assumeRoleInput(r.Form)
	if err != nil {
		return err
	}
	session, err := s.directory.AssumeRole(r.Caller, in)
	var denied *iam.AccessDeniedError
	var invalid *iam.ValidationError
	switch {
	case errors.As(err, &denied):
		return s.Protocol().AccessDenied(denied)
	case errors.As(err, &invalid):
		return protocol.Errorf(http.StatusBadRequest, "ValidationError", "%v", invalid)
	case err != nil:
		return err
	}
	return write(w, r, assumeRoleResponse{Metadata: metadataOf(r), Result: assumeRoleResult{
		AssumedRoleUser: assumedRoleUser{Arn: session.Caller.ARN, AssumedRoleID: session.AssumedRoleID},
		Credentials: credentials{
			AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey,
			SessionToken: session.SessionToken, Expiration: timestamp(session.Expires),
		},
	}})
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

func metadataOf(r *protocol.Request) metadata { return metadata{RequestID: r.ID.String()} }

// write answers in XML, or in JSON where the client asked for it.
func write(w http.ResponseWriter, r *protocol.Request, response any) error {
	if protocol.WantsJSON(r.Request) {
		protocol.WriteJSON(w, map[string]any{r.Operation.Name + "Response": response})
		return nil
	}
	body, err := xml.Marshal(response)
	if err != nil {
		return fmt.Errorf("encode the response of %s: %w", r.Operation.Name, err)
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write(body) // the client is gone; nobody is left to tell
	return nil
}
