package iam

import "slices"

// Caller is the principal that made a request: an IAM user, a session of a
// role, or an AWS service.
type Caller struct {
	Account string
	// ARN is the user's or the session's own ARN.
	ARN string
	// UserID is the unique id: AIDA... for a user, AROA...:session for a role.
	UserID string
	// RoleARN is the IAM ARN of the role whose session this is, or "".
	RoleARN string
	// Source is the access key id that the chain of sessions began with: a user's
	// own, or that of the session that a service made, such as a Lambda sandbox's.
	Source string
	// Service is the service principal, such as lambda.amazonaws.com, and then
	// the other fields are empty.
	Service string

	userName      string
	sessionPolicy *Document
}

// principalARN is what aws:PrincipalArn holds: for a session, its role's ARN.
func (c Caller) principalARN() string {
	if c.RoleARN != "" {
		return c.RoleARN
	}
	return c.ARN
}

// Partition is the AWS partition that the caller belongs to; "" for a service.
func (c Caller) Partition() string { return partitionOf(c.ARN) }

// grant is how far a Principal element covers a caller.
type grant int

const (
	notNamed grant = iota
	// throughAccount: the caller's account is named. That leaves it to the
	// account's identity policies to let the caller in.
	throughAccount
	// directly: the caller itself, its role, its service or everyone is named.
	directly
)

func (p principal) covers(c Caller) grant {
	if c.Service != "" {
		if slices.Contains(p.services, c.Service) {
			return directly
		}
		return notNamed
	}
	if p.anyone || slices.Contains(p.aws, c.ARN) || (c.RoleARN != "" && slices.Contains(p.aws, c.RoleARN)) {
		return directly
	}
	if slices.Contains(p.aws, c.Account) || slices.Contains(p.aws, arn(c.Partition(), "iam", c.Account, "root")) {
		return throughAccount
	}
	return notNamed
}

// Origin is what authentication found out about a request.
type Origin struct {
	Caller Caller
	// Region is the one the request was signed for.
	Region string
	// SourceIP is the client's address, without the port.
	SourceIP string
}

// Conditions are the condition keys that any service adds for a request.
func (o Origin) Conditions() Conditions {
	keys := Conditions{"aws:RequestedRegion": {o.Region}}
	if o.SourceIP != "" {
		keys["aws:SourceIp"] = []string{o.SourceIP}
	}
	return keys
}
