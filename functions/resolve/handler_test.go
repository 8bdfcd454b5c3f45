package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
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

// What happens on the cluster is tested through the whole workflow, on real API
// servers. Here is what EKS can answer.

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
	active := ekstypes.Cluster{Status: ekstypes.ClusterStatusActive, Endpoint: aws.String("https://c"), Version: aws.String("1.33"),
		CertificateAuthority: &ekstypes.Certificate{Data: aws.String("Y2E=")}}
	updating := active
	updating.Status = ekstypes.ClusterStatusUpdating
	young := active
	young.CertificateAuthority = nil
	tests := []struct {
		name string
		eks  fakeEKS
		want fault.Name
		says string
	}{
		{name: "active", eks: fakeEKS{cluster: active}},
		{name: "updating", eks: fakeEKS{cluster: updating}},
		{name: "creating", eks: fakeEKS{cluster: ekstypes.Cluster{Status: ekstypes.ClusterStatusCreating}}, want: fault.ClusterNotActive, says: "CREATING"},
		{name: "without a CA", eks: fakeEKS{cluster: young}, want: fault.ClusterNotActive, says: "certificate authority"},
		{name: "not there", eks: fakeEKS{err: &ekstypes.ResourceNotFoundException{Message: aws.String("No cluster found")}}, want: fault.ClusterNotFound, says: "No cluster found"},
		{name: "denied", eks: fakeEKS{err: &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "no"}}, want: fault.DescribeClusterDenied},
		{name: "throttled", eks: fakeEKS{err: &smithy.GenericAPIError{Code: "ThrottlingException"}}, want: fault.Throttled},
		{name: "a fault of EKS", eks: fakeEKS{err: &ekstypes.ServerException{}}, want: fault.AWSUnavailable},
		{name: "no way to it", eks: fakeEKS{err: &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}}, want: fault.AWSUnavailable},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			role := eksauth.AccessRole{Partition: "aws", Name: "crossapply-access", ExternalID: "x"}
			resolver := Resolver{auth: eksauth.New(role, fakeSTS{}, time.Now), eks: test.eks}
			got, err := resolver.describe(t.Context(), item)
			if test.want == "" {
				want := contract.Cluster{Endpoint: "https://c", CA: "Y2E=", Version: "1.33", Role: "arn:aws:iam::111111111111:role/crossapply-access"}
				if err != nil || got != want {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if fault.NameOf(err) != test.want || !strings.HasPrefix(err.Error(), item.Target.String()+": ") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %s: %v, want %s", fault.NameOf(err), err, test.want)
			}
		})
	}
}
