package iam

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Conditions are the condition keys of a request and their values, such as
// sts:ExternalId. Keys do not depend on case.
type Conditions map[string][]string

// Request is the question whether a caller may do something.
type Request struct {
	Caller Caller
	// Action is service:Operation, such as eks:DescribeCluster.
	Action string
	// Resource is the ARN, or * for an action that has none.
	Resource string
	// ResourceAccount owns the resource. When empty it is the account in the
	// resource's ARN, or else the caller's.
	ResourceAccount string
	// ResourcePolicy is the resource's own policy, if it has one.
	ResourcePolicy *Document
	// Conditions are the service's keys; the global ones about the caller
	// (aws:PrincipalArn, ...) are added to them.
	Conditions Conditions
}

// AccessDeniedError is returned when no policy allows the request or one
// denies it. Its text is AWS's.
type AccessDeniedError struct {
	Caller, Action, Resource string
	// Reason says which kind of policy stands in the way; it may be empty.
	Reason string
}

func (e *AccessDeniedError) Error() string {
	text := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", e.Caller, e.Action, e.Resource)
	if e.Reason != "" {
		text += " " + e.Reason
	}
	return text
}

// Authorize decides by AWS's evaluation logic: an explicit deny in any policy
// wins; inside an account it takes an allow of the identity policies or of the
// resource policy (which must name more than the account); across accounts both.
// The error is an [AccessDeniedError].
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
func (d *Directory) Authorize(r Request) error {
	e := d.evaluation(r)
	identity, resource := e.identity(d.identityPolicies(r.Caller)), e.resource(r.ResourcePolicy)
	switch {
	case identity.denied:
		return e.refuse("with an explicit deny in an identity-based policy")
	case resource.denied:
		return e.refuse("with an explicit deny in a resource-based policy")
	case !e.withinSession():
		return e.refuse("because no session policy allows the " + r.Action + " action")
	case e.sameAccount() && (identity.allowed || resource.grant == directly):
		return nil
	case !identity.allowed:
		return e.refuse("because no identity-based policy allows the " + r.Action + " action")
	case !e.sameAccount() && resource.grant == notNamed:
		return e.refuse("because no resource-based policy allows the " + r.Action + " action")
	}
	return nil
}

// authorizeTrust decides sts:AssumeRole. Unlike other resource policies the
// trust policy must always allow; when it names the caller itself and lies in
// the caller's account, that is enough.
func (d *Directory) authorizeTrust(r Request) error {
	e := d.evaluation(r)
	identity, trust := e.identity(d.identityPolicies(r.Caller)), e.resource(r.ResourcePolicy)
	suffices := r.Caller.Service != "" || e.sameAccount()
	switch {
	case identity.denied, trust.denied, !e.withinSession(), trust.grant == notNamed:
		return e.refuse("")
	case identity.allowed, suffices && trust.grant == directly:
		return nil
	}
	return e.refuse("")
}

// evaluation is one request with its condition keys gathered.
type evaluation struct {
	Request
	keys map[string][]string
}

func (d *Directory) evaluation(r Request) evaluation {
	e := evaluation{Request: r, keys: map[string][]string{}}
	if e.ResourceAccount == "" {
		e.ResourceAccount = accountOf(r.Resource)
	}
	if e.ResourceAccount == "" {
		e.ResourceAccount = r.Caller.Account
	}
	global := globalKeys(r.Caller, d.now())
	global["aws:ResourceAccount"] = []string{e.ResourceAccount}
	for key, account := range map[string]string{"aws:PrincipalOrgID": r.Caller.Account, "aws:ResourceOrgID": e.ResourceAccount} {
		if organization := d.organizationOf(account); organization != "" {
			global[key] = []string{organization}
		}
	}
	for _, source := range []Conditions{global, r.Conditions} {
		for key, value := range maps.All(source) {
			e.keys[strings.ToLower(key)] = value
		}
	}
	return e
}

func (d *Directory) organizationOf(account string) string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.accounts[account].Organization
}

// globalKeys are the keys AWS adds to every request.
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
func globalKeys(c Caller, now time.Time) Conditions {
	keys := Conditions{
		"aws:CurrentTime": {now.UTC().Format(time.RFC3339)},
		"aws:EpochTime":   {strconv.FormatInt(now.Unix(), 10)},
		// The local port stands for AWS's TLS endpoints: a policy that demands
		// TLS must hold here as it will there.
		"aws:SecureTransport":       {"true"},
		"aws:PrincipalIsAWSService": {strconv.FormatBool(c.Service != "")},
		"aws:ViaAWSService":         {"false"},
	}
	if c.Service != "" {
		keys["aws:PrincipalServiceName"] = []string{c.Service}
		return keys
	}
	keys["aws:PrincipalArn"] = []string{c.principalARN()}
	keys["aws:PrincipalAccount"] = []string{c.Account}
	keys["aws:userid"] = []string{c.UserID}
	keys["aws:PrincipalType"] = []string{"AssumedRole"}
	if c.userName != "" {
		keys["aws:PrincipalType"] = []string{"User"}
		keys["aws:username"] = []string{c.userName}
	}
	return keys
}

func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}

func (e evaluation) sameAccount() bool { return e.ResourceAccount == e.Caller.Account }

func (e evaluation) refuse(reason string) error {
	who := e.Caller.ARN
	if e.Caller.Service != "" {
		who = e.Caller.Service
	}
	return &AccessDeniedError{Caller: who, Action: e.Action, Resource: e.Resource, Reason: reason}
}

type identityVerdict struct{ allowed, denied bool }

func (e evaluation) identity(policies []Document) (v identityVerdict) {
	for _, policy := range policies {
		for _, s := range policy.statements {
			if e.applies(policy, s, true) {
				v.denied = v.denied || s.deny
				v.allowed = v.allowed || !s.deny
			}
		}
	}
	return v
}

// withinSession reports whether the policy that was passed when the session
// was made, if any, leaves the action in.
func (e evaluation) withinSession() bool {
	if e.Caller.sessionPolicy == nil {
		return true
	}
	v := e.identity([]Document{*e.Caller.sessionPolicy})
	return v.allowed && !v.denied
}

type resourceVerdict struct {
	grant  grant
	denied bool
}

func (e evaluation) resource(policy *Document) (v resourceVerdict) {
	if policy == nil {
		return v
	}
	for _, s := range policy.statements {
		covered := s.principal.covers(e.Caller)
		// A trust policy has no Resource: its resource is the role itself.
		hasResource := s.resources != nil || s.notResources != nil
		if covered == notNamed || !e.applies(*policy, s, hasResource) {
			continue
		}
		if s.deny {
			v.denied = true
		} else {
			v.grant = max(v.grant, covered)
		}
	}
	return v
}

// applies reports whether the statement speaks of this action, resource and
// these conditions.
func (e evaluation) applies(policy Document, s statement, withResource bool) bool {
	if !e.actionMatches(s) || (withResource && !e.resourceMatches(policy, s)) {
		return false
	}
	for _, c := range s.conditions {
		found, exists := e.lookup(c.key)
		if !c.holds(found, exists, e.patterns(policy, c.values)) {
			return false
		}
	}
	return true
}

func (e evaluation) lookup(key string) ([]string, bool) {
	found, ok := e.keys[strings.ToLower(key)]
	return found, ok
}

func (e evaluation) patterns(policy Document, texts []string) []string {
	var patterns []string
	for _, text := range texts {
		if pattern, ok := compile(text, policy.variables, e.lookup); ok {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

func (e evaluation) actionMatches(s statement) bool {
	list := s.actions
	if list == nil {
		list = s.notActions
	}
	found := false
	for _, action := range list {
		pattern, _ := compile(strings.ToLower(action), false, nil)
		found = found || glob(pattern, strings.ToLower(e.Action))
	}
	return found == (s.actions != nil)
}

func (e evaluation) resourceMatches(policy Document, s statement) bool {
	list := s.resources
	if list == nil {
		list = s.notResources
	}
	found := false
	for _, pattern := range e.patterns(policy, list) {
		found = found || arnGlob(pattern, e.Resource)
	}
	return found == (s.resources != nil)
}
