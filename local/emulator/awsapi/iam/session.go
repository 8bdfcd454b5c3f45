package iam

import (
	"cmp"
	"strings"
	"time"
)

// Session is a role's temporary credentials.
type Session struct {
	Credential
	// AssumedRoleID is the role's unique id and the session's name.
	AssumedRoleID string
}

// ValidationError is returned for a request that is malformed whoever sends it.
type ValidationError struct{ Message string }

func (e *ValidationError) Error() string { return e.Message }

// AssumeRoleInput is what a caller says when it assumes a role.
type AssumeRoleInput struct {
	RoleARN     string
	SessionName string
	// ExternalID is nil when the caller gave none.
	ExternalID *string
	// Policy is a session policy, as a JSON document; it may be empty.
	Policy string
	// Duration of the session; 0 means one hour.
	Duration time.Duration
}

// Limits of a session: docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
const (
	defaultSession = time.Hour
	minSession     = 15 * time.Minute
	chainedSession = time.Hour
	// serviceSession is what Lambda gives a sandbox; it does not depend on the
	// role's own limit.
	serviceSession = 12 * time.Hour
)

// AssumeRole makes a session of the role for the caller. It returns an
// [AccessDeniedError] when the role does not exist, its trust policy does not
// let the caller in, or the caller's own policies do not, and a
// [ValidationError] for a duration out of range or a malformed policy.
func (d *Directory) AssumeRole(caller Caller, in AssumeRoleInput) (Session, error) {
	conditions := Conditions{"sts:RoleSessionName": {in.SessionName}}
	if in.ExternalID != nil {
		conditions["sts:ExternalId"] = []string{*in.ExternalID}
	}
	r, err := d.trusted(caller, in.RoleARN, conditions)
	if err != nil {
		return Session{}, err
	}
	duration := in.Duration
	if duration == 0 {
		duration = defaultSession
	}
	if caller.RoleARN != "" && duration > chainedSession {
		return Session{}, &ValidationError{"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"}
	}
	if duration < minSession || duration > r.MaxSessionDuration {
		return Session{}, &ValidationError{"The requested DurationSeconds exceeds the MaxSessionDuration set for this role."}
	}
	var policy *Document
	if in.Policy != "" {
		parsed, err := ParseIdentityPolicy(in.Policy)
		if err != nil {
			return Session{}, &ValidationError{err.Error()}
		}
		policy = &parsed
	}
	return d.newSession(r, in.SessionName, duration, caller.Source, policy)
}

// AssumeRoleForService makes a session of the role for an AWS service acting
// for the resource sourceARN, as Lambda does for a function. It returns an
// [AccessDeniedError] when the role does not exist or does not trust it.
func (d *Directory) AssumeRoleForService(service, roleARN, sessionName, sourceARN string) (Session, error) {
	r, err := d.trusted(Caller{Service: service}, roleARN, Conditions{
		"sts:RoleSessionName": {sessionName},
		"aws:SourceArn":       {sourceARN},
		"aws:SourceAccount":   {accountOf(sourceARN)},
	})
	if err != nil {
		return Session{}, err
	}
	return d.newSession(r, sessionName, serviceSession, "", nil)
}

// CheckTrust returns an [AccessDeniedError] when the service may not assume
// the role for the resource sourceARN.
func (d *Directory) CheckTrust(service, roleARN, sourceARN string) error {
	_, err := d.trusted(Caller{Service: service}, roleARN, Conditions{
		"aws:SourceArn": {sourceARN}, "aws:SourceAccount": {accountOf(sourceARN)},
	})
	return err
}

func (d *Directory) trusted(caller Caller, roleARN string, conditions Conditions) (role, error) {
	d.mu.RLock()
	r, ok := d.roles[roleARN]
	d.mu.RUnlock()
	request := Request{Caller: caller, Action: "sts:AssumeRole", Resource: roleARN, Conditions: conditions}
	if !ok || caller.Service == "" && caller.Partition() != partitionOf(roleARN) {
		// AWS does not tell a stranger which roles exist, and no role is assumed from
		// another partition, whatever its trust policy says.
		return role{}, d.evaluation(request).refuse("")
	}
	request.ResourcePolicy = &r.trust
	return r, d.authorizeTrust(request)
}

// newSession makes a session; source is empty for the first of a chain.
func (d *Directory) newSession(r role, name string, duration time.Duration, source string, policy *Document) (Session, error) {
	key, err := d.id("ASIA")
	if err != nil {
		return Session{}, err
	}
	secret, err := d.secret(30) // 40 characters, as AWS's
	if err != nil {
		return Session{}, err
	}
	token, err := d.secret(384) // 512 characters, within the usual size of AWS's
	if err != nil {
		return Session{}, err
	}
	roleName := r.Name[strings.LastIndex(r.Name, "/")+1:]
	id := r.id + ":" + name
	credential := Credential{
		AccessKeyID: key, SecretAccessKey: secret, SessionToken: token,
		// Whole seconds, since that is what travels in XML.
		Expires: d.now().Add(duration).UTC().Truncate(time.Second),
		Caller: Caller{
			Account: r.Account, UserID: id, RoleARN: r.ARN(), Source: cmp.Or(source, key), sessionPolicy: policy,
			ARN: arn(r.Partition, "sts", r.Account, "assumed-role/"+roleName+"/"+name),
		},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.credentials[key] = credential
	return Session{Credential: credential, AssumedRoleID: id}, nil
}
