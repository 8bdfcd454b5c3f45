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
	op, err := operation.Of(in.Phase.Operation)
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	if err := passGate(ctx, r.marks(in.Run.Bucket), in); err != nil {
		return contract.ResolveOutput{}, err
	}
	cluster, mode, err := r.describe(ctx, in)
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
	mappings, err := prove(ctx, client, op, in)
	if fault.NameOf(err) == fault.Unauthenticated {
		r.auth.Forget(in.Run, in.Target)
		err = explained(err, in.Target, mode)
	}
	if err != nil {
		return contract.ResolveOutput{}, err
	}
	edge.Logger(ctx).Info("resolved", "endpoint", cluster.Endpoint, "version", cluster.Version, "resources", len(mappings))
	return contract.ResolveOutput{Cluster: cluster, Mappings: mappings}, nil
}

// explained says why a cluster does not know us that knows no access entries. In this
// mode its aws-auth ConfigMap may map the access role, so a cluster that lets us in is
// not refused for its mode, by no operation: a check must pass where the others would.
func explained(err error, target contract.Target, mode ekstypes.AuthenticationMode) error {
	if mode != ekstypes.AuthenticationModeConfigMap {
		return err
	}
	return fault.Wrap(err, fault.AuthenticationMode, "%s: the cluster does not accept the access role: its authentication mode is %s, so it knows no access entries, and its aws-auth ConfigMap does not map the role",
		target, mode)
}

// prove finds where the cluster serves the kinds of the resources, and proves that we
// may use the verbs on them: exactly those that the later steps will use. Where there
// is no resource, it proves that the cluster knows us.
func prove(ctx context.Context, client *kube.Client, op operation.Operation, in contract.Item) ([]*contract.Mapping, error) {
	resources, verbs := in.Run.Resources, op.VerbsOf(in.Run)
	mappings := make([]*contract.Mapping, len(resources))
	for step := range resources {
		i := operation.Order(op, len(resources), step)
		mapping, err := client.Discover(ctx, resources[i])
		if fault.NameOf(err) == fault.KindNotServed && mayCome(op, step) {
			continue
		}
		if err == nil {
			err = client.Review(ctx, resources[i], mapping, verbs)
		}
		if err != nil {
			return nil, err
		}
		mappings[i] = &mapping
	}
	if len(resources) > 0 {
		return mappings, nil
	}
	_, err := client.WhoAmI(ctx)
	return mappings, err
}

// mayCome says that a kind need not be served yet: a resource that is worked on before
// may bring it. A rollback has nothing to bring back of a kind that has not come.
func mayCome(op operation.Operation, step int) bool {
	return op.Name == operation.Rollback || step > 0 && (op.Name == operation.Check || !op.ByName)
}

func (r Resolver) describe(ctx context.Context, in contract.Item) (contract.Cluster, ekstypes.AuthenticationMode, error) {
	credentials, err := r.auth.Credentials(ctx, in.Run, in.Target)
	if err != nil {
		return contract.Cluster{}, "", err
	}
	// One client for all Regions and accounts: a client of its own per call would
	// have its own connections.
	out, err := r.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String(in.Target.Cluster)}, func(o *eks.Options) {
		o.Region = in.Target.Region
		o.Credentials = static.StaticCredentialsProvider{Value: credentials}
	})
	if err != nil {
		return contract.Cluster{}, "", fault.FromAWS(err, map[string]fault.Name{
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
		return contract.Cluster{}, "", fault.New(fault.ClusterNotActive, "%s: the cluster is %s, not ACTIVE", in.Target, status)
	}
	if out.Cluster.Endpoint == nil || out.Cluster.CertificateAuthority == nil {
		return contract.Cluster{}, "", fault.New(fault.ClusterNotActive, "%s: the cluster is %s but has no endpoint or certificate authority yet", in.Target, out.Cluster.Status)
	}
	var mode ekstypes.AuthenticationMode
	if out.Cluster.AccessConfig != nil {
		mode = out.Cluster.AccessConfig.AuthenticationMode
	}
	return contract.Cluster{
		Endpoint: aws.ToString(out.Cluster.Endpoint),
		CA:       aws.ToString(out.Cluster.CertificateAuthority.Data),
		Version:  aws.ToString(out.Cluster.Version),
		Role:     r.auth.Role().ARN(in.Target.Account),
	}, mode, nil
}
