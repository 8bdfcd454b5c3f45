package eksauth

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/naming"
)

// AccessRole is the role that is assumed in every target account. All of it is
// the function's configuration; no request can change it.
type AccessRole struct {
	// Partition is the AWS partition of the workflow, such as "aws".
	Partition string
	// Name is the role's name, with its path if it has one.
	Name string
	// ExternalID is what the role's trust policy asks for.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-user_externalid.html
	ExternalID string
}

// ARN returns the ARN of the role in an account.
func (r AccessRole) ARN(account string) string {
	return fmt.Sprintf("arn:%s:iam::%s:role/%s", r.Partition, account, r.Name)
}

// AssumeRoleClient is what package eksauth needs of STS; *sts.Client is one.
type AssumeRoleClient interface {
	AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
}

// Authenticator assumes the access role and mints tokens. It is safe for
// concurrent use, and meant to live as long as its sandbox.
type Authenticator struct {
	role AccessRole
	sts  AssumeRoleClient
	now  func() time.Time

	sessions *cache[session, aws.Credentials]
	tokens   *cache[tokenKey, Token]
}

// session identifies the credentials of one account for one execution: the
// session's name must lead an auditor to the execution, so executions do not
// share one.
type session struct{ account, execution string }

func sessionOf(run contract.Run, account string) session {
	return session{account: account, execution: run.Execution}
}

type tokenKey struct {
	session
	region, cluster string
}

func tokenOf(run contract.Run, target contract.Target) tokenKey {
	return tokenKey{sessionOf(run, target.Account), target.Region, target.Cluster}
}

// New returns an Authenticator for the access role. now is the clock.
func New(role AccessRole, client AssumeRoleClient, now func() time.Time) *Authenticator {
	return &Authenticator{
		role: role, sts: client, now: now,
		sessions: newCache[session](now, func(c aws.Credentials) time.Time { return c.Expires }),
		tokens:   newCache[tokenKey](now, func(t Token) time.Time { return t.Expires }),
	}
}

// Role returns the access role.
func (a *Authenticator) Role() AccessRole { return a.role }

// sessionSeconds is the longest session that a role assumed by a role gets.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
const sessionSeconds = 3600

// Credentials returns credentials of the access role in the target's account,
// from the sandbox or else from STS, which it calls once per account and
// execution. It fails with [fault.AssumeRoleDenied], [fault.Throttled],
// [fault.AWSUnavailable] or [fault.AWSError].
func (a *Authenticator) Credentials(ctx context.Context, run contract.Run, target contract.Target) (aws.Credentials, error) {
	return a.credentials(ctx, run, target.Account, target.String())
}

// AccountCredentials is [Authenticator.Credentials] for an account as a whole.
func (a *Authenticator) AccountCredentials(ctx context.Context, run contract.Run, account string) (aws.Credentials, error) {
	return a.credentials(ctx, run, account, account)
}

// credentials returns credentials in an account; whose is what for, in words.
func (a *Authenticator) credentials(ctx context.Context, run contract.Run, account, whose string) (aws.Credentials, error) {
	key := sessionOf(run, account)
	if creds, ok := a.sessions.get(key); ok {
		return creds, nil
	}
	arn := a.role.ARN(account)
	out, err := a.sts.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn:         aws.String(arn),
		RoleSessionName: aws.String(SessionName(run.Name)),
		ExternalId:      aws.String(a.role.ExternalID),
		DurationSeconds: aws.Int32(sessionSeconds),
	})
	if err != nil {
		return aws.Credentials{}, fault.FromAWS(err, map[string]fault.Name{"AccessDenied": fault.AssumeRoleDenied},
			fmt.Sprintf("%s: assume %s", whose, arn))
	}
	creds := credentialsOf(out.Credentials)
	a.sessions.put(key, creds)
	return creds, nil
}

func credentialsOf(c *ststypes.Credentials) aws.Credentials {
	return aws.Credentials{
		AccessKeyID:     aws.ToString(c.AccessKeyId),
		SecretAccessKey: aws.ToString(c.SecretAccessKey),
		SessionToken:    aws.ToString(c.SessionToken),
		CanExpire:       true,
		Expires:         aws.ToTime(c.Expiration),
	}
}

// Token returns a bearer token for the target's cluster. It fails as
// [Authenticator.Credentials] does.
func (a *Authenticator) Token(ctx context.Context, run contract.Run, target contract.Target) (Token, error) {
	key := tokenOf(run, target)
	if token, ok := a.tokens.get(key); ok {
		return token, nil
	}
	creds, err := a.Credentials(ctx, run, target)
	if err != nil {
		return Token{}, err
	}
	token, err := Mint(ctx, creds, target.Region, target.Cluster, a.now())
	if err != nil {
		return Token{}, err
	}
	a.tokens.put(key, token)
	return token, nil
}

// Forget drops the target's token and the credentials behind it, which the
// cluster refused: the next call of [Authenticator.Token] assumes the role again.
func (a *Authenticator) Forget(run contract.Run, target contract.Target) {
	a.tokens.forget(tokenOf(run, target))
	a.sessions.forget(sessionOf(run, target.Account))
}

const (
	minSessionName = 2
	maxSessionName = 64
)

var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// SessionName returns the role session's name for an execution: the
// execution's own name where STS takes it, so that an auditor who reads it in
// CloudTrail finds the execution by it. Characters that STS refuses become "-",
// and a name that is too long, or was changed, ends in a hash of the whole, so
// that two executions never share one.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
func SessionName(execution string) string {
	return naming.Fit(execution, notInSessionName, minSessionName, maxSessionName)
}
