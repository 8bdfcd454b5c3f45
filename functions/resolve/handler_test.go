package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
)

// A cluster that the role may act on is described, and called with one session for
// as long as that lasts.
func TestResolve(t *testing.T) {
	resolver, c := newResolver(t)
	in := inputFor(t, deployers)
	want := contract.ResolveOutput{
		Cluster: contract.Cluster{
			Endpoint: c.Endpoint(),
			CA:       base64.StdEncoding.EncodeToString(c.CAData),
			Version:  c.Version(),
			Role:     "arn:aws:iam::111111111111:role/crossapply-access",
		},
		Mapping: contract.Mapping{Group: "messaging.example.com", Version: "v1", Plural: "topics", Namespaced: true, Status: true},
	}
	before := local.CallsTo("sts", "AssumeRole")
	for range 2 {
		out, err := resolver.Handle(t.Context(), in)
		if err != nil || out != want {
			t.Errorf("got  %+v (%v)\nwant %+v", out, err, want)
		}
	}
	if calls := local.CallsTo("sts", "AssumeRole") - before; calls != 1 {
		t.Errorf("%d calls of AssumeRole, want 1", calls)
	}
}

func TestResolveRefuses(t *testing.T) {
	tests := []struct {
		name    string
		account string
		change  func(*contract.Item)
		want    fault.Name
		says    string
	}{
		{
			name: "a role that does not trust us", account: guarded,
			want: fault.AssumeRoleDenied, says: "assume arn:aws:iam::555555555555:role/crossapply-access",
		},
		{
			name: "a role that does not describe clusters", account: blind,
			want: fault.DescribeClusterDenied, says: "eks:DescribeCluster",
		},
		{
			name: "a cluster that is not there", account: deployers,
			change: func(in *contract.Item) { in.Target.Cluster = "absent" },
			want:   fault.ClusterNotFound, says: "No cluster found for name: absent",
		},
		{
			name: "a role without an access entry", account: unmapped,
			want: fault.Unauthenticated, says: "look up messaging.example.com/v1 Topic",
		},
		{
			name: "a group that may look only", account: readers,
			want: fault.Forbidden, says: "RBAC does not allow the access role to create, patch topics.messaging.example.com in namespace kafka",
		},
		{
			name: "a kind without a CRD", account: deployers,
			change: func(in *contract.Item) { in.Run.Resource.Kind = "Queue" },
			want:   fault.KindNotServed, says: "does not serve messaging.example.com/v1 Queue",
		},
		{
			name: "a resource without its namespace", account: deployers,
			change: func(in *contract.Item) { in.Run.Resource.Namespace = "" },
			want:   fault.Invalid, says: "Topic is namespaced",
		},
	}
	resolver, _ := newResolver(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := inputFor(t, test.account)
			if test.change != nil {
				test.change(&in)
			}
			out, err := resolver.Handle(t.Context(), in)
			expectFault(t, in, err, test.want, test.says)
			if out != (contract.ResolveOutput{}) {
				t.Errorf("it hands on %+v", out)
			}
		})
	}
}

// A dry run waits for nothing, so the verbs of the wait need not be allowed.
func TestResolveAsksForTheVerbsOfTheRun(t *testing.T) {
	resolver, _ := newResolver(t)
	in := inputFor(t, writers)
	_, err := resolver.Handle(t.Context(), in)
	expectFault(t, in, err, fault.Forbidden, "RBAC does not allow the access role to watch topics.messaging.example.com")
	in.Run.Apply.DryRun = true
	if _, err := resolver.Handle(t.Context(), in); err != nil {
		t.Errorf("a dry run: %v", err)
	}
}

// A token that the cluster refused is forgotten, with the session behind it: the
// role may have been made anew.
func TestResolveForgetsARefusedToken(t *testing.T) {
	resolver, _ := newResolver(t)
	in := inputFor(t, unmapped)
	before := local.CallsTo("sts", "AssumeRole")
	for range 2 {
		_, err := resolver.Handle(t.Context(), in)
		expectFault(t, in, err, fault.Unauthenticated, "")
	}
	if calls := local.CallsTo("sts", "AssumeRole") - before; calls != 2 {
		t.Errorf("%d calls of AssumeRole, want 2", calls)
	}
}

// A cluster that was down is reached again, whatever the sandbox held of it.
func TestResolveWhileTheClusterIsDown(t *testing.T) {
	resolver, c := newResolver(t)
	in := inputFor(t, deployers)
	resolve := func() error {
		_, err := resolver.Handle(t.Context(), in)
		return err
	}
	if err := resolve(); err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	expectFault(t, in, resolve(), fault.ClusterUnreachable, "connection refused")
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := resolve(); err != nil {
		t.Error(err)
	}
}

// What EKS answers that the local one does not.

type fakeEKS struct {
	cluster ekstypes.Cluster
	err     error
}

func (f fakeEKS) DescribeCluster(ctx context.Context, _ *eks.DescribeClusterInput, options ...func(*eks.Options)) (*eks.DescribeClusterOutput, error) {
	var o eks.Options
	for _, set := range options {
		set(&o)
	}
	if credentials, err := o.Credentials.Retrieve(ctx); err != nil || o.Region != "eu-west-1" || credentials.AccessKeyID != "ASIA" {
		return nil, fmt.Errorf("asked in %s with %s: %w", o.Region, credentials.AccessKeyID, err)
	}
	return &eks.DescribeClusterOutput{Cluster: &f.cluster}, f.err
}

type fakeSTS struct{}

func (fakeSTS) AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	return &sts.AssumeRoleOutput{Credentials: &ststypes.Credentials{
		AccessKeyId: aws.String("ASIA"), SecretAccessKey: aws.String("s"), SessionToken: aws.String("t"), Expiration: aws.Time(time.Now().Add(time.Hour))}}, nil
}

var item = contract.Item{
	Run:    contract.Run{Execution: "arn", Name: "nightly", Resource: contract.ResourceRef{APIVersion: "v1", Kind: "ConfigMap", Name: "x"}},
	Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"},
}

func TestDescribe(t *testing.T) {
	updating := ekstypes.Cluster{Status: ekstypes.ClusterStatusUpdating, Endpoint: aws.String("https://c"), Version: aws.String("1.33"),
		CertificateAuthority: &ekstypes.Certificate{Data: aws.String("Y2E=")}}
	young := ekstypes.Cluster{Status: ekstypes.ClusterStatusActive, Endpoint: aws.String("https://c")}
	tests := []struct {
		name    string
		cluster ekstypes.Cluster
		err     error
		want    fault.Name
		says    string
	}{
		{name: "updating", cluster: updating},
		{
			name: "creating", cluster: ekstypes.Cluster{Status: ekstypes.ClusterStatusCreating},
			want: fault.ClusterNotActive, says: "CREATING",
		},
		{
			name: "without a CA", cluster: young,
			want: fault.ClusterNotActive, says: "certificate authority",
		},
		{
			name: "in a Region that the account has not enabled", err: &smithy.GenericAPIError{Code: "UnrecognizedClientException"},
			want: fault.RegionNotEnabled,
		},
		{
			name: "throttled", err: &smithy.GenericAPIError{Code: "ThrottlingException"},
			want: fault.Throttled,
		},
		{
			name: "a fault of EKS", err: &ekstypes.ServerException{},
			want: fault.AWSUnavailable,
		},
		{
			name: "no way to it", err: &net.OpError{Op: "dial", Err: errors.New("i/o timeout")},
			want: fault.AWSUnavailable,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resolver := Resolver{auth: eksauth.New(role, fakeSTS{}, time.Now), eks: fakeEKS{cluster: test.cluster, err: test.err}}
			got, err := resolver.describe(t.Context(), item)
			if test.want == "" {
				want := contract.Cluster{Endpoint: "https://c", CA: "Y2E=", Version: "1.33", Role: "arn:aws:iam::111111111111:role/crossapply-access"}
				if err != nil || got != want {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			expectFault(t, item, err, test.want, test.says)
		})
	}
}
