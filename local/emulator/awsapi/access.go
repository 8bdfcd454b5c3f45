package awsapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// Allow says whether the caller of the request that ctx belongs to may do the
// action on the resource. The error is an [iam.AccessDeniedError].
func (s *Server) Allow(ctx context.Context, action, resource string) error {
	return s.allow(ctx, action, resource, nil)
}

func (s *Server) allow(ctx context.Context, action, resource string, conditions iam.Conditions) error {
	origin, ok := iam.FromContext(ctx)
	if !ok {
		return errors.New("no caller in the context")
	}
	keys := origin.Conditions()
	maps.Copy(keys, conditions)
	return s.IAM.Authorize(iam.Request{Caller: origin.Caller, Action: action, Resource: resource, Conditions: keys})
}

// Caller returns the account and Region of the request that ctx belongs to, both
// empty outside of one.
func (s *Server) Caller(ctx context.Context) (account, region string) {
	origin, _ := iam.FromContext(ctx)
	return origin.Caller.Account, origin.Region
}

// AllowRole says the same for a role that acts by itself, such as the role of a
// state machine. An unknown role is an error.
func (s *Server) AllowRole(_ context.Context, roleARN, action, resource string) error {
	caller, err := s.IAM.RoleCaller(roleARN)
	if err != nil {
		return err
	}
	return s.IAM.Authorize(iam.Request{Caller: caller, Action: action, Resource: resource})
}

// RoleConfig returns an SDK configuration for the local endpoint with fresh
// credentials of the role, assumed by a service principal such as
// states.amazonaws.com for the resource sourceARN. They are renewed when they
// near their end. The error is an [iam.AccessDeniedError] when the role does not
// exist or its trust policy does not let the service in.
func (s *Server) RoleConfig(service, roleARN, region, sourceARN string) (aws.Config, error) {
	if err := s.IAM.CheckTrust(service, roleARN, sourceARN); err != nil {
		return aws.Config{}, fmt.Errorf("assume role for %s: %w", service, err)
	}
	assume := func(context.Context) (aws.Credentials, error) {
		session, err := s.IAM.AssumeRoleForService(service, roleARN, "local", sourceARN)
		if err != nil {
			return aws.Credentials{}, fmt.Errorf("assume role for %s: %w", service, err)
		}
		return aws.Credentials{
			AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey, SessionToken: session.SessionToken,
			CanExpire: true, Expires: session.Expires.Add(-time.Minute),
		}, nil
	}
	return s.config(region, aws.NewCredentialsCache(aws.CredentialsProviderFunc(assume))), nil
}

// UserConfig returns an SDK configuration for the local endpoint with the keys
// of a user.
func (s *Server) UserConfig(u iam.User, region string) aws.Config {
	keys := aws.Credentials{AccessKeyID: u.AccessKeyID, SecretAccessKey: u.SecretAccessKey}
	return s.config(region, aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil }))
}

func (s *Server) config(region string, provider aws.CredentialsProvider) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: aws.String(s.URL()), Credentials: provider}
}

const statesPrincipal = "states.amazonaws.com"

// StatesAccess is what a Step Functions endpoint in one Region needs to know
// about callers and roles.
type StatesAccess struct {
	*Server
	region string
}

// StatesAccess returns the access for a Step Functions endpoint in a Region.
func (s *Server) StatesAccess(region string) StatesAccess { return StatesAccess{s, region} }

// Allow is [Server.Allow]; a role that is passed is passed to Step Functions,
// which policies for iam:PassRole commonly demand.
func (a StatesAccess) Allow(ctx context.Context, action, resource string) error {
	var conditions iam.Conditions
	if action == "iam:PassRole" {
		conditions = iam.Conditions{"iam:PassedToService": {statesPrincipal}}
	}
	return a.allow(ctx, action, resource, conditions)
}

// Config returns an SDK configuration with credentials of a state machine's
// role, which must trust states.amazonaws.com: see [Server.RoleConfig].
func (a StatesAccess) Config(_ context.Context, roleARN string) (aws.Config, error) {
	caller, err := a.IAM.RoleCaller(roleARN)
	if err != nil {
		return aws.Config{}, err
	}
	// Which machine asks is not known here; it lies in its role's account.
	machine := fmt.Sprintf("arn:aws:states:%s:%s:stateMachine:*", a.region, caller.Account)
	return a.RoleConfig(statesPrincipal, roleARN, a.region, machine)
}
