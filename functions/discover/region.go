package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/selector"
)

// region is one Region of an account.
type region struct {
	eks     EKS
	account contract.Account
	name    string
	// options are those of every call: the Region, and the account's credentials.
	options func(*eks.Options)
}

// clusters returns the clusters whose names matter, in no order, with their tags
// where they are asked for. It fails with [fault.RegionNotEnabled] where the account
// has not enabled the Region.
func (r region) clusters(ctx context.Context) ([]contract.FoundCluster, error) {
	names, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	clusters := make([]contract.FoundCluster, len(names))
	for i, name := range names {
		clusters[i] = contract.FoundCluster{Region: r.name, Name: name}
	}
	if !r.account.Tags {
		return clusters, nil
	}
	gone := make([]bool, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(describesAtOnce)
	for i := range clusters {
		group.Go(func() (err error) {
			clusters[i].Tags, gone[i], err = r.tags(ctx, clusters[i].Name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	there := clusters[:0]
	for i, cluster := range clusters {
		if !gone[i] {
			there = append(there, cluster)
		}
	}
	return there, nil
}

// list returns the names of the clusters that matter.
func (r region) list(ctx context.Context) ([]string, error) {
	matter := contract.Match{Clusters: r.account.Clusters}
	var names []string
	pages := eks.NewListClustersPaginator(r.eks, &eks.ListClustersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx, r.options)
		if err != nil {
			return nil, r.fault(err, "list the clusters")
		}
		for _, name := range page.Clusters {
			target := contract.Target{Account: r.account.Account, Region: r.name, Cluster: name}
			if selector.Matches(matter, selector.Cluster{Target: target}, nil, nil) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// tags returns the tags of a cluster, and whether it is gone since it was listed.
func (r region) tags(ctx context.Context, name string) (tags map[string]string, gone bool, err error) {
	out, err := r.eks.DescribeCluster(ctx, &eks.DescribeClusterInput{Name: aws.String(name)}, r.options)
	if err != nil {
		err = r.fault(err, "read the tags of the cluster "+name)
		if fault.NameOf(err) == fault.ClusterNotFound {
			return nil, true, nil
		}
		return nil, false, err
	}
	return out.Cluster.Tags, false, nil
}

func (r region) fault(err error, doing string) error {
	return fault.FromAWS(err, map[string]fault.Name{
		"ResourceNotFoundException": fault.ClusterNotFound,
		"AccessDeniedException":     fault.ListClustersDenied,
		"AccessDenied":              fault.ListClustersDenied,
		// What a Region answers in which the account's credentials are not known.
		// https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html
		"UnrecognizedClientException": fault.RegionNotEnabled,
		"InvalidClientTokenId":        fault.RegionNotEnabled,
	}, fmt.Sprintf("%s/%s: %s", r.account.Account, r.name, doing))
}

// sorted puts what was found into one order, whichever Region answered first.
func sorted(found contract.Found) contract.Found {
	slices.SortFunc(found.Clusters, func(a, b contract.FoundCluster) int {
		return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Name, b.Name))
	})
	slices.Sort(found.NotEnabled)
	return found
}
