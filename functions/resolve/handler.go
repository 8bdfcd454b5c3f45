// Command resolve is a target's first step: it asks whether the rollout still goes
// on, assumes the access role, finds the cluster, and proves that the cluster knows
// us, serves the kind, and lets us do what the later steps will do. It hands on how
// to reach the cluster, but no token: each function mints its own.
package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	static "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
)

// EKS is what resolve needs of EKS; *eks.Client is one.
type EKS interface {
	DescribeCluster(context.Context, *eks.DescribeClusterInput, ...func(*eks.Options)) (*eks.DescribeClusterOutput, error)
}

// Resolver resolves targets.
type Resolver struct {
	auth     *eksauth.Authenticator
	clusters *kube.Clusters
	eks      EKS
	marks    func(bucket string) Marks
}

// Handle finds the target's cluster and proves access to it, if the rollout still
// goes on: else it fails with [fault.RolloutStopped].
func (r Resolver) Handle(ctx context.Context, in contract.Item) (contract.ResolveOutput, error) {
	op, err := operation.Of(in.Run.Operation)
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	if err := passGate(ctx, r.marks(in.Run.Bucket), in); err != nil {
		return contract.ResolveOutput{}, err
	}
	cluster, err := r.describe(ctx, in)
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	token, err := r.auth.Token(ctx, in.Run, in.Target)
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	client, err := r.clusters.Client(in.Target, cluster, token.Value)
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	mapping, err := prove(ctx, client, op.VerbsOf(in.Run), in.Run.Resource)
	if fault.NameOf(err) == fault.Unauthenticated {
		r.auth.Forget(in.Run, in.Target)
	}
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	edge.Logger(ctx).Info("resolved", "endpoint", cluster.Endpoint, "version", cluster.Version, "resource", mapping.Plural)
	return contract.ResolveOutput{Cluster: cluster, Mapping: mapping}, nil
}

// prove finds where the cluster serves the resource's kind, and proves that we
// may use the verbs on it: exactly those that the later steps will use.
func prove(ctx context.Context, client *kube.Client, verbs []string, resource contract.ResourceRef) (contract.Mapping, error) {
	mapping, err := client.Discover(ctx, resource)
	if err != nil {
		return contract.Mapping{}, err
	}
	return mapping, client.Review(ctx, resource, mapping, verbs)
}

func (r Resolver) describe(ctx context.Context, in contract.Item) (contract.Cluster, error) {
	credentials, err := r.auth.Credentials(ctx, in.Run, in.Target)
	if err != nil {
		return contract.Cluster{}, err
	}
	// One client for all Regions and accounts: a client of its own per call would
	// have its own connections.
	out, err := r.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String(in.Target.Cluster)}, func(o *eks.Options) {
		o.Region = in.Target.Region
		o.Credentials = static.StaticCredentialsProvider{Value: credentials}
	})
	if err != nil {
		return contract.Cluster{}, fault.FromAWS(err, map[string]fault.Name{
			"ResourceNotFoundException": fault.ClusterNotFound,
			"AccessDeniedException":     fault.DescribeClusterDenied,
			"AccessDenied":              fault.DescribeClusterDenied,
			// What a Region answers in which the account's credentials are not known.
			// https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
			"UnrecognizedClientException": fault.RegionNotEnabled,
			"InvalidClientTokenId":        fault.RegionNotEnabled,
		}, fmt.Sprintf("%s: describe the cluster", in.Target))
	}
	// A cluster goes on serving while it is UPDATING.
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_UpdateClusterVersion.html
	if status := out.Cluster.Status; status != ekstypes.ClusterStatusActive && status != ekstypes.ClusterStatusUpdating {
		return contract.Cluster{}, fault.New(fault.ClusterNotActive, "%s: the cluster is %s, not ACTIVE", in.Target, status)
	}
	if out.Cluster.Endpoint == nil || out.Cluster.CertificateAuthority == nil {
		return contract.Cluster{}, fault.New(fault.ClusterNotActive, "%s: the cluster is %s but has no endpoint or certificate authority yet", in.Target, out.Cluster.Status)
	}
	return contract.Cluster{
		Endpoint: aws.ToString(out.Cluster.Endpoint),
		CA:       aws.ToString(out.Cluster.CertificateAuthority.Data),
		Version:  aws.ToString(out.Cluster.Version),
		Role:     r.auth.Role().ARN(in.Target.Account),
	}, nil
}
