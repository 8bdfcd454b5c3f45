// Command discover lists the clusters of one account that selectors may mean, with
// their tags where those are asked for, and writes what it found to the run bucket.
package main

import (
	"context"
	"strings"
	"sync"

	static "github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// EKS is what discover needs of EKS; *eks.Client is one.
type EKS interface {
	ListClusters(context.Context, *eks.ListClustersInput, ...func(*eks.Options)) (*eks.ListClustersOutput, error)
	DescribeCluster(context.Context, *eks.DescribeClusterInput, ...func(*eks.Options)) (*eks.DescribeClusterOutput, error)
}

// Store is where discover writes; [runs.Bucket] is one.
type Store interface {
	PutJSON(ctx context.Context, key string, value any) error
}

// Discoverer lists the clusters of accounts.
type Discoverer struct {
	auth  *eksauth.Authenticator
	eks   EKS
	store func(bucket string) Store
}

// EKS counts the calls of an account in each Region by itself, so the bound is one
// of Regions, and of calls in each.
const (
	regionsAtOnce   = 16
	describesAtOnce = 4
)

// Handle lists the clusters of an account, in all Regions side by side. One Region
// that fails fails the account: a part of its clusters would pass for all of them.
// Such are [fault.ListClustersDenied], what [eksauth.Authenticator.Credentials]
// fails with, and what may pass.
func (d Discoverer) Handle(ctx context.Context, in contract.DiscoverInput) (contract.DiscoverOutput, error) {
	credentials, err := d.auth.AccountCredentials(ctx, in.Run, in.Account.Account)
	if err != nil {
		return contract.DiscoverOutput{}, err
	}
	found := contract.Found{Clusters: []contract.FoundCluster{}}
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(regionsAtOnce)
	for _, name := range in.Regions {
		group.Go(func() error {
			r := region{eks: d.eks, account: in.Account, name: name, options: func(o *eks.Options) {
				o.Region = name
				o.Credentials = static.StaticCredentialsProvider{Value: credentials}
			}}
			clusters, err := r.clusters(groupCtx)
			mu.Lock()
			defer mu.Unlock()
			if fault.NameOf(err) == fault.RegionNotEnabled {
				found.NotEnabled = append(found.NotEnabled, name)
				return nil
			}
			found.Clusters = append(found.Clusters, clusters...)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return contract.DiscoverOutput{}, err
	}
	// Credentials that AWS does not know are refused in every Region: an account must not
	// look empty for that.
	if len(found.NotEnabled) == len(in.Regions) {
		return contract.DiscoverOutput{}, fault.New(fault.RegionNotEnabled, "%s: its credentials are not known in any of %s",
			in.Account.Account, strings.Join(in.Regions, ", "))
	}
	if err := d.store(in.Run.Bucket).PutJSON(ctx, in.Run.Prefix+runs.DiscoveredIn(in.Account.Account), sorted(found)); err != nil {
		return contract.DiscoverOutput{}, err
	}
	edge.Logger(ctx).Info("discovered", "clusters", len(found.Clusters), "regions", len(in.Regions), "notEnabled", found.NotEnabled)
	return contract.DiscoverOutput{Account: in.Account.Account, Clusters: len(found.Clusters)}, nil
}
