package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"reflect"
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
	"github.com/crossapply/crossapply/shared/operation"
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
		Mappings: []*contract.Mapping{{Group: "messaging.example.com", Version: "v1", Plural: "topics", Namespaced: true, Status: true}},
	}
	before := local.CallsTo("sts", "AssumeRole")
	for range 2 {
		out, err := resolver.Handle(t.Context(), in)
		if err != nil || !reflect.DeepEqual(out, want) {
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
			change: func(in *contract.Item) { in.Run.Resources[0].Kind = "Queue" },
			want:   fault.KindNotServed, says: "does not serve messaging.example.com/v1 Queue",
		},
		{
			name: "a resource without its namespace", account: deployers,
			change: func(in *contract.Item) { in.Run.Resources[0].Namespace = "" },
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
			if out.Cluster != (contract.Cluster{}) || out.Mappings != nil {
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

// What a rollback takes is asked for before anything is changed.
func TestResolveAsksForTheVerbsOfTheRollback(t *testing.T) {
	resolver, _ := newResolver(t)
	in := inputFor(t, writers)
	in.Run.Ready.Wait, in.Run.OnFailure = false, contract.OnFailureRollback
	_, err := resolver.Handle(t.Context(), in)
	expectFault(t, in, err, fault.Forbidden, "to update, delete, watch topics.messaging.example.com")
}

// A kind that another resource may bring need not be there yet; but nothing brings the
// first one's, nor that of an object which is only looked for.
func TestResolveSeveralResources(t *testing.T) {
	topic := contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: "orders"}
	queue := contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Queue", Namespace: "kafka", Name: "orders"}
	byPlural := contract.ResourceRef{APIVersion: "messaging.example.com/v1", Plural: "topics", Namespace: "kafka", Name: "orders"}
	tests := []struct {
		operation contract.Operation
		resources []contract.ResourceRef
		served    string // as many letters as resources; empty: it fails
	}{
		{operation.Apply, []contract.ResourceRef{topic, byPlural}, "yy"},
		{operation.Apply, []contract.ResourceRef{topic, queue}, "yn"},
		{operation.Apply, []contract.ResourceRef{queue, topic}, ""},
		{operation.Check, []contract.ResourceRef{topic, queue}, "yn"},
		{operation.Delete, []contract.ResourceRef{topic, queue}, ""},
		{operation.Get, []contract.ResourceRef{topic, queue}, ""},
		{operation.Rollback, []contract.ResourceRef{queue, queue}, "nn"},
		{operation.Check, nil, ""},
	}
	resolver, _ := newResolver(t)
	for _, test := range tests {
		in := inputFor(t, deployers)
		in.Phase.Operation, in.Run.Resources = test.operation, test.resources
		out, err := resolver.Handle(t.Context(), in)
		if test.served == "" && len(test.resources) > 0 {
			expectFault(t, in, err, fault.KindNotServed, "")
			continue
		}
		served := ""
		for _, mapping := range out.Mappings {
			if mapping == nil {
				served += "n"
			} else {
				served += "y"
			}
		}
		if err != nil || served != test.served || out.Mappings == nil {
			t.Errorf("%s of %v: %s, %v, want %s", test.operation, test.resources, served, err, test.served)
		}
	}
}

// A check of clusters alone proves that they know us.
func TestResolveWithoutAResource(t *testing.T) {
	resolver, _ := newResolver(t)
	in := inputFor(t, unmapped)
	in.Phase.Operation, in.Run.Resources = operation.Check, nil
	_, err := resolver.Handle(t.Context(), in)
	expectFault(t, in, err, fault.Unauthenticated, "as whom it knows the access role")
}

// modes is an EKS whose clusters have another authentication mode.
type modes struct {
	EKS
	mode ekstypes.AuthenticationMode
}

func (m modes) DescribeCluster(ctx context.Context, in *eks.DescribeClusterInput, options ...func(*eks.Options)) (*eks.DescribeClusterOutput, error) {
	out, err := m.EKS.DescribeCluster(ctx, in, options...)
	if err == nil {
		out.Cluster.AccessConfig = &ekstypes.AccessConfigResponse{AuthenticationMode: m.mode}
	}
	return out, err
}

// A cluster that knows no access entries says so where it does not know us, and only
// there: its ConfigMap may map the role.
func TestAuthenticationMode(t *testing.T) {
	resolver, _ := newResolver(t)
	for _, name := range []contract.Operation{operation.Check, operation.Apply} {
		for mode, want := range map[ekstypes.AuthenticationMode]fault.Name{
			ekstypes.AuthenticationModeConfigMap: fault.AuthenticationMode, ekstypes.AuthenticationModeApi: fault.Unauthenticated,
			ekstypes.AuthenticationModeApiAndConfigMap: fault.Unauthenticated,
		} {
			resolver := resolver
			resolver.eks = modes{EKS: resolver.eks, mode: mode}
			in := inputFor(t, unmapped)
			in.Phase.Operation = name
			_, err := resolver.Handle(t.Context(), in)
			expectFault(t, in, err, want, "")
			in = inputFor(t, deployers)
			in.Phase.Operation = name
			if _, err := resolver.Handle(t.Context(), in); err != nil {
				t.Errorf("%s of a cluster that knows us, in mode %s: %v", name, mode, err)
			}
		}
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
	Run:        contract.Run{Execution: "arn", Name: "nightly"},
	TargetItem: contract.TargetItem{Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}},
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
			got, _, err := resolver.describe(t.Context(), item)
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
