package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Document is a parsed JSON policy document.
// Grammar: docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
type Document struct {
	// variables says whether ${...} stands for a value: it does since the
	// policy language version 2012-10-17 only.
	variables  bool
	statements []statement
}

type statement struct {
	sid          string
	deny         bool
	principal    *principal
	actions      []string
	notActions   []string
	resources    []string
	notResources []string
	conditions   []condition
}

// principal is who a statement of a resource policy speaks of.
type principal struct {
	anyone   bool
	aws      []string
	services []string
}

// kind is where a policy is attached, which decides the elements it must have.
type kind int

const (
	identityPolicy kind = iota
	resourcePolicy
	trustPolicy
)

type jsonDocument struct {
	Version   string          `json:"Version"`
	ID        string          `json:"Id"`
	Statement json.RawMessage `json:"Statement"`
}

type jsonStatement struct {
	Sid          string                       `json:"Sid"`
	Effect       string                       `json:"Effect"`
	Principal    json.RawMessage              `json:"Principal"`
	NotPrincipal json.RawMessage              `json:"NotPrincipal"`
	Action       texts                        `json:"Action"`
	NotAction    texts                        `json:"NotAction"`
	Resource     texts                        `json:"Resource"`
	NotResource  texts                        `json:"NotResource"`
	Condition    map[string]map[string]values `json:"Condition"`
}

// texts is a string or a list of strings.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = texts{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return fmt.Errorf("want a string or a list of strings, not %s", data)
	}
	*t = many
	return nil
}

// values is one or several strings, numbers or booleans, kept as text.
type values []string

func (v *values) UnmarshalJSON(data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var raw any
	if err := decoder.Decode(&raw); err != nil {
		return err
	}
	list, ok := raw.([]any)
	if !ok {
		list = []any{raw}
	}
	*v = values{}
	for _, item := range list {
		switch item.(type) {
		case string, json.Number, bool:
			*v = append(*v, fmt.Sprint(item))
		default:
			return fmt.Errorf("a condition value must be a string, number or boolean, not %s", data)
		}
	}
	return nil
}

// ParseIdentityPolicy reads a policy attached to a user, a role or a session.
func ParseIdentityPolicy(document string) (Document, error) { return parse(document, identityPolicy) }

// ParseResourcePolicy reads a policy attached to a resource, such as a bucket
// policy: its statements name principals.
func ParseResourcePolicy(document string) (Document, error) { return parse(document, resourcePolicy) }

// ParseTrustPolicy reads a role's trust policy: its statements name principals
// and no resource, for the resource is the role.
func ParseTrustPolicy(document string) (Document, error) { return parse(document, trustPolicy) }

func parse(document string, k kind) (Document, error) {
	var raw jsonDocument
	if err := strict([]byte(document), &raw); err != nil {
		return Document{}, fmt.Errorf("malformed policy document: %w", err)
	}
	switch raw.Version {
	case "", "2008-10-17", "2012-10-17":
	default:
		return Document{}, fmt.Errorf("malformed policy document: Version %q is not 2008-10-17 or 2012-10-17", raw.Version)
	}
	statements, err := splitStatements(raw.Statement)
	if err != nil {
		return Document{}, fmt.Errorf("malformed policy document: %w", err)
	}
	parsed := Document{variables: raw.Version == "2012-10-17"}
	for i, one := range statements {
		s, err := parseStatement(one, k)
		if err != nil {
			return Document{}, fmt.Errorf("malformed policy document: Statement[%d]: %w", i, err)
		}
		parsed.statements = append(parsed.statements, s)
	}
	return parsed, nil
}

// CheckPartition refuses a policy that speaks of another partition than its own, as
// AWS does when a policy is put.
func (d Document) CheckPartition(its string) error {
	other := func(arn string) bool {
		named := partitionOf(arn)
		return strings.HasPrefix(arn, "arn:") && named != its && named != "*"
	}
	for _, s := range d.statements {
		for _, resource := range slices.Concat(s.resources, s.notResources) {
			if other(resource) {
				return fmt.Errorf("malformed policy document: Partition %q is not valid for resource %q", partitionOf(resource), resource)
			}
		}
		if s.principal == nil {
			continue
		}
		if i := slices.IndexFunc(s.principal.aws, other); i >= 0 {
			return fmt.Errorf("malformed policy document: Invalid principal in policy: %q", s.principal.aws[i])
		}
	}
	return nil
}

// strict decodes JSON and refuses members it does not know, so that no element
// of a policy is passed over in silence.
func strict(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// splitStatements takes Statement as AWS does: one object or a list of them.
func splitStatements(raw json.RawMessage) ([]json.RawMessage, error) {
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 {
		return nil, fmt.Errorf("missing Statement")
	}
	if trimmed[0] == '{' {
		return []json.RawMessage{trimmed}, nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(trimmed, &list); err != nil {
		return nil, fmt.Errorf("in Statement: %w", err)
	}
	return list, nil
}

func parseStatement(data []byte, k kind) (statement, error) {
	var raw jsonStatement
	if err := strict(data, &raw); err != nil {
		return statement{}, err
	}
	s := statement{
		sid: raw.Sid, deny: raw.Effect == "Deny",
		actions: raw.Action, notActions: raw.NotAction,
		resources: raw.Resource, notResources: raw.NotResource,
	}
	if raw.Effect != "Allow" && raw.Effect != "Deny" {
		return statement{}, fmt.Errorf("want Effect Allow or Deny, not %q", raw.Effect)
	}
	if raw.NotPrincipal != nil {
		return statement{}, fmt.Errorf("unsupported element NotPrincipal")
	}
	if (raw.Action == nil) == (raw.NotAction == nil) {
		return statement{}, fmt.Errorf("want either Action or NotAction")
	}
	if err := s.checkScope(k, raw.Principal != nil); err != nil {
		return statement{}, err
	}
	if raw.Principal != nil {
		p, err := parsePrincipal(raw.Principal)
		if err != nil {
			return statement{}, err
		}
		s.principal = p
	}
	// In order, so that a document with two mistakes always names the same one.
	for _, operator := range slices.Sorted(maps.Keys(raw.Condition)) {
		for _, key := range slices.Sorted(maps.Keys(raw.Condition[operator])) {
			c, err := parseCondition(operator, key, raw.Condition[operator][key])
			if err != nil {
				return statement{}, fmt.Errorf("in Condition: %w", err)
			}
			s.conditions = append(s.conditions, c)
		}
	}
	return s, nil
}

// checkScope checks the elements that depend on where the policy is attached.
func (s statement) checkScope(k kind, hasPrincipal bool) error {
	hasResource := s.resources != nil || s.notResources != nil
	switch {
	case s.resources != nil && s.notResources != nil:
		return fmt.Errorf("want either Resource or NotResource, not both")
	case k == identityPolicy && hasPrincipal:
		return fmt.Errorf("misplaced Principal in an identity policy")
	case k != identityPolicy && !hasPrincipal:
		return fmt.Errorf("missing Principal")
	case k == trustPolicy && hasResource:
		return fmt.Errorf("misplaced Resource in a trust policy")
	case k != trustPolicy && !hasResource:
		return fmt.Errorf("want Resource or NotResource")
	}
	return nil
}

func parsePrincipal(data []byte) (*principal, error) {
	var star string
	if json.Unmarshal(data, &star) == nil {
		if star != "*" {
			return nil, fmt.Errorf("in Principal: the plain string %q is not \"*\"", star)
		}
		return &principal{anyone: true}, nil
	}
	var raw struct {
		AWS       texts `json:"AWS"`
		Service   texts `json:"Service"`
		Federated texts `json:"Federated"`
	}
	if err := strict(data, &raw); err != nil {
		return nil, fmt.Errorf("in Principal: %w", err)
	}
	if raw.Federated != nil {
		return nil, fmt.Errorf("unsupported principal Federated")
	}
	p := &principal{services: raw.Service}
	for _, name := range raw.AWS {
		switch {
		case name == "*":
			p.anyone = true
		case strings.ContainsAny(name, "*?"):
			return nil, fmt.Errorf("in Principal: a part of the ARN %q is a wildcard", name)
		default:
			p.aws = append(p.aws, name)
		}
	}
	return p, nil
}
