package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/mapresults"
	"github.com/crossapply/crossapply/shared/runs"
	"github.com/crossapply/crossapply/shared/selector"
)

// found is what is known of the clusters of the accounts that were looked into.
type found struct {
	// clusters are all that were found, sorted.
	clusters []selector.Cluster
	// failed are the accounts whose clusters could not be listed, by their ids.
	failed map[string]contract.Result
	// notEnabled are the accounts that have not enabled a Region, by the Region.
	notEnabled map[string][]string
}

const (
	// accountsAtOnce is how many accounts are looked into at once, and readsAtOnce how
	// many objects are read.
	accountsAtOnce = 20
	readsAtOnce    = 16
)

// listed says whether the Map that lists clusters has ended, and with which failures, by
// account.
func (p Planner) listed(ctx context.Context, run contract.Run) (ended bool, failed map[string]contract.Result, err error) {
	prefix := run.Prefix + runs.Listing
	keys, err := p.store.List(ctx, prefix+"/")
	if err != nil || len(keys) == 0 {
		return false, nil, err
	}
	failed = map[string]contract.Result{}
	ended, _, err = mapresults.Read(ctx, p.store, prefix, keys, func(c mapresults.Child) {
		account, err := c.Target()
		if err != nil || c.Status == "SUCCEEDED" {
			return // what was found there is missed where it is read
		}
		result, err := c.Result(account, p.now())
		if err != nil || !result.Outcome.Failed() {
			result = mapresults.Unreadable(account, fmt.Errorf("its status is %q", c.Status))
		}
		failed[account.Account] = result
	})
	return ended, failed, err
}

// discover returns where clusters have to be looked for, or what was found there once
// the Map has been through. Accounts that failed with an error that the request
// tolerates are Skipped.
func (p Planner) discover(ctx context.Context, run contract.Run, where []contract.Account) (*contract.Discovery, found, error) {
	if len(where) == 0 {
		return nil, found{}, nil
	}
	ended, failed, err := p.listed(ctx, run)
	if err != nil {
		return nil, found{}, err
	}
	if !ended {
		discovery := contract.Discovery{ItemsKey: run.Prefix + runs.Accounts, ResultsPrefix: run.Prefix + runs.Listing, MaxConcurrency: accountsAtOnce}
		return &discovery, found{}, p.store.PutJSON(ctx, discovery.ItemsKey, where)
	}
	known, err := p.found(ctx, run, where, failed)
	return nil, known, err
}

// found reads what was found in accounts. One of which nothing was failed; also one
// that was not looked into, because it came to the request after the first call.
func (p Planner) found(ctx context.Context, run contract.Run, accounts []contract.Account, failed map[string]contract.Result) (found, error) {
	there, err := p.store.List(ctx, run.Prefix+runs.Discovered)
	if err != nil {
		return found{}, err
	}
	all := make([]contract.Found, len(accounts))
	known := found{failed: map[string]contract.Result{}, notEnabled: map[string][]string{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsAtOnce)
	for i, account := range accounts {
		key := run.Prefix + runs.DiscoveredIn(account.Account)
		if _, found := slices.BinarySearch(there, key); !found { // S3 lists keys in order
			known.failed[account.Account] = failureOf(account.Account, failed, run.Tolerate)
			continue
		}
		group.Go(func() error { return p.store.GetJSON(ctx, key, &all[i]) })
	}
	if err := group.Wait(); err != nil {
		return found{}, fmt.Errorf("find out which clusters were found: %w", err)
	}
	for i, account := range accounts {
		for _, c := range all[i].Clusters {
			target := contract.Target{Account: account.Account, Region: c.Region, Cluster: c.Name}
			known.clusters = append(known.clusters, selector.Cluster{Target: target, Tags: c.Tags})
		}
		for _, region := range all[i].NotEnabled {
			known.notEnabled[region] = append(known.notEnabled[region], account.Account)
		}
	}
	return known, nil
}

// failureOf returns how an account failed of which nothing was found.
func failureOf(account string, failed map[string]contract.Result, tolerate []string) contract.Result {
	result, known := failed[account]
	if !known {
		result = mapresults.Unreadable(contract.Target{Account: account}, fmt.Errorf("there is none"))
	}
	if slices.Contains(tolerate, result.Error) {
		result.Outcome = contract.OutcomeSkipped
	}
	return result
}

// How many accounts or targets a note names, and how many a refusal.
const (
	maxNoted     = 5
	maxUnmatched = 50
)

// failures are how the accounts ended whose clusters could not be listed, sorted.
func (f found) failures() []contract.Result {
	var failures []contract.Result
	for _, account := range slices.Sorted(maps.Keys(f.failed)) {
		failures = append(failures, f.failed[account])
	}
	return failures
}

// notes say in which Regions there can be no clusters.
func (f found) notes() []string {
	if len(f.notEnabled) == 0 {
		return nil
	}
	var regions []string
	for _, region := range slices.Sorted(maps.Keys(f.notEnabled)) {
		regions = append(regions, fmt.Sprintf("%s in %s", region, some(f.notEnabled[region], maxNoted)))
	}
	return []string{fmt.Sprintf("Regions that are not enabled have no clusters: %s.", some(regions, maxNoted))}
}

// some names the first of some values, and says how many more there are.
func some(values []string, most int) string {
	if len(values) <= most {
		return strings.Join(values, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(values[:most], ", "), len(values)-most)
}
