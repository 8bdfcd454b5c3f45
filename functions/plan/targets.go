package main

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/selector"
)

// choice is what the targets of a request are chosen by, and from.
type choice struct {
	selector.Search
	found
	// path is where the selectors stand in the request.
	path *field.Path
	// lenient lets any selector select nothing.
	lenient bool
}

// fits says whether a match fits a cluster.
func (c choice) fits(m contract.Match, cluster selector.Cluster) bool {
	return selector.Matches(m, cluster, c.Units, c.Configured)
}

// targets returns the clusters that the selectors mean, less those that are excluded:
// those that are named, in the order of the request, and then those that were found,
// sorted; each once.
func (c choice) targets() (targets []selector.Cluster, notes []string, problems field.ErrorList) {
	named, notes := c.named()
	selected, problems := c.selected()
	seen := make(map[contract.Target]bool, len(named)+len(selected))
	for _, cluster := range slices.Concat(named, selected) {
		if !seen[cluster.Target] {
			targets = append(targets, cluster)
		}
		seen[cluster.Target] = true
	}
	if len(problems) > 0 {
		return nil, nil, problems
	}
	all := len(targets)
	targets = slices.DeleteFunc(targets, func(cluster selector.Cluster) bool {
		return slices.ContainsFunc(c.Exclude, func(m contract.Match) bool { return c.fits(m, cluster) })
	})
	switch {
	case all > 0 && len(targets) == 0:
		return nil, nil, field.ErrorList{field.Invalid(field.NewPath("exclude"), field.OmitValueType{}, "takes out every target")}
	case len(targets) > contract.MaxTargets:
		return nil, nil, field.ErrorList{field.TooMany(c.path, len(targets), contract.MaxTargets)}
	}
	return targets, notes, nil
}

// named returns the clusters that the selectors name. Where it depends on tags what is
// done with them, those whose tags could not be read are left out.
func (c choice) named() (named []selector.Cluster, notes []string) {
	tags := make(map[contract.Target]map[string]string, len(c.clusters))
	for _, cluster := range c.clusters {
		tags[cluster.Target] = cluster.Tags
	}
	var left []string
	for _, s := range c.Selectors {
		if !selector.Explicit(s) {
			continue
		}
		target := selector.Target(s)
		if _, failed := c.failed[target.Account]; failed && c.Tags {
			left = append(left, target.String())
			continue
		}
		named = append(named, selector.Cluster{Target: target, Tags: tags[target]})
	}
	if left != nil {
		notes = append(notes, fmt.Sprintf("Left out, because the request depends on tags that could not be read: %s.", some(left, maxNoted)))
	}
	return named, notes
}

// selected returns the clusters that were found and that a selector selects. A selector
// that selects nothing is a problem, unless it is optional, or looks in an account whose
// clusters could not be listed.
func (c choice) selected() (selected []selector.Cluster, problems field.ErrorList) {
	matched := make([]bool, len(c.Selectors))
	for _, cluster := range c.clusters {
		fits := false
		for i, s := range c.Selectors {
			if !selector.Explicit(s) && c.fits(s.Match, cluster) {
				matched[i], fits = true, true
			}
		}
		if fits {
			selected = append(selected, cluster)
		}
	}
	for i, s := range c.Selectors {
		if !matched[i] && !c.lenient && !s.Optional && !selector.Explicit(s) && !c.looksInFailed(s.Match) {
			problems = append(problems, field.Invalid(c.path.Index(i), field.OmitValueType{}, "selects no cluster: with optional it may"))
		}
	}
	return selected, problems
}

// looksInFailed says whether a match may fit clusters in an account that failed.
func (c choice) looksInFailed(m contract.Match) bool {
	for account := range c.failed {
		if c.looksIn(m, account) {
			return true
		}
	}
	return false
}

// looksIn says whether a match may fit clusters in an account.
func (c choice) looksIn(m contract.Match, account string) bool {
	where := contract.Match{Accounts: m.Accounts, OrganizationalUnits: m.OrganizationalUnits}
	return c.fits(where, selector.Cluster{Target: contract.Target{Account: account}})
}

// narrowed returns what the selectors mean in accounts that could not be looked into.
func (c choice) narrowed(accounts []contract.Result) []contract.TargetSelector {
	var narrowed []contract.TargetSelector
	for _, s := range c.Selectors {
		named := selector.Explicit(s)
		var in []string
		for _, account := range accounts {
			if named && c.Tags && s.Account == account.Account || !named && c.looksIn(s.Match, account.Account) {
				in = append(in, account.Account)
			}
		}
		if in == nil {
			continue
		}
		if !named {
			s.Accounts, s.OrganizationalUnits = in, nil
		}
		narrowed = append(narrowed, s)
	}
	return narrowed
}
