// Package selector says which clusters a request means: which of them a match fits,
// and where they have to be looked for. It calls nothing.
package selector

import (
	"cmp"
	"path"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
)

// Cluster is a cluster that may be a target.
type Cluster struct {
	contract.Target
	// Tags are its tags in EKS; nil where nobody has asked for them.
	Tags map[string]string
}

// Units are the accounts of organizational units, by the unit's id: those of the units
// below included.
type Units map[string][]string

// AnyAccount stands for every account of the configuration.
const AnyAccount = "*"

// Explicit says whether a selector names one cluster, rather than selects some.
func Explicit(s contract.TargetSelector) bool {
	return s.Account != "" || s.Region != "" || s.Cluster != "" || Empty(s.Match) && !s.Optional
}

// Empty says whether a match has no field, and so fits every cluster.
func Empty(m contract.Match) bool {
	return m.Accounts == nil && m.OrganizationalUnits == nil && m.Regions == nil && m.Clusters == nil && m.Tags == nil
}

// Target returns the cluster that a selector names which is explicit.
func Target(s contract.TargetSelector) contract.Target {
	return contract.Target{Account: s.Account, Region: s.Region, Cluster: s.Cluster}
}

// InRegions returns selectors with the Regions that those look in which give none.
func InRegions(selectors []contract.TargetSelector, regions []string) []contract.TargetSelector {
	selectors = slices.Clone(selectors)
	for i, s := range selectors {
		if !Explicit(s) && len(s.Regions) == 0 {
			selectors[i].Regions = regions
		}
	}
	return selectors
}

// Matches says whether a match fits a cluster. configured are the accounts of the
// configuration.
func Matches(m contract.Match, c Cluster, units Units, configured []string) bool {
	return inAccounts(m, c.Account, units, configured) &&
		(len(m.Regions) == 0 || slices.Contains(m.Regions, c.Region)) &&
		HasName(m.Clusters, c.Cluster) &&
		tagged(m.Tags, c.Tags)
}

// inAccounts says whether an account is among those of a match: of its accounts, or of
// its organizational units.
func inAccounts(m contract.Match, account string, units Units, configured []string) bool {
	if len(m.Accounts) == 0 && len(m.OrganizationalUnits) == 0 {
		return true
	}
	return slices.ContainsFunc(m.Accounts, func(id string) bool {
		return id == account || id == AnyAccount && slices.Contains(configured, account)
	}) || slices.ContainsFunc(m.OrganizationalUnits, func(unit string) bool {
		return slices.Contains(units[unit], account)
	})
}

// HasName says whether a cluster's name fits one of some patterns, in which * stands
// for any characters and ? for one; no patterns fit every name.
func HasName(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(pattern string) bool {
		// A pattern holds nothing else that has a meaning here, and a name no slash; one
		// that is malformed all the same fits nothing.
		fits, err := path.Match(pattern, name)
		return fits && err == nil
	})
}

// tagged says whether a cluster has all tags that are wanted.
func tagged(wanted map[string]contract.TagValues, tags map[string]string) bool {
	for key, values := range wanted {
		value, there := tags[key]
		if !there || len(values) > 0 && !slices.Contains(values, value) {
			return false
		}
	}
	return true
}

// UsesTags says whether any of some matches asks for tags.
func UsesTags(matches ...contract.Match) bool {
	return slices.ContainsFunc(matches, func(m contract.Match) bool { return len(m.Tags) > 0 })
}

// UnitsOf returns the organizational units that some matches name, each once, sorted.
func UnitsOf(matches ...contract.Match) []string {
	var units []string
	for _, m := range matches {
		units = append(units, m.OrganizationalUnits...)
	}
	slices.Sort(units)
	return slices.Compact(units)
}

// Search says what has to be looked for.
type Search struct {
	// Selectors are those of the targets, with the Regions of all: see [InRegions].
	Selectors []contract.TargetSelector
	// Exclude are the matches that take clusters out: an account that they take out
	// as a whole is not looked into.
	Exclude []contract.Match
	// Tags says that the clusters' tags are asked for whatever the selectors are, also
	// those of the clusters that they name.
	Tags bool
	// Units are the accounts of organizational units, and Configured those of the
	// configuration.
	Units      Units
	Configured []string
}

// Accounts returns where to look for what the search is for, one entry for each account,
// sorted: its Regions, the names that matter in any of them, and whether the tags are
// asked for. More clusters may be found than are selected.
func (s Search) Accounts() []contract.Account {
	found := map[string]*contract.Account{}
	everyName := map[string]bool{}
	look := func(account string, where contract.Account) {
		if s.excludes(account) {
			return
		}
		into := found[account]
		if into == nil {
			into = &contract.Account{Account: account, Tags: s.Tags}
			found[account] = into
		}
		into.Regions = append(into.Regions, where.Regions...)
		into.Clusters = append(into.Clusters, where.Clusters...)
		into.Tags = into.Tags || where.Tags
		everyName[account] = everyName[account] || len(where.Clusters) == 0
	}
	for _, selector := range s.Selectors {
		switch {
		case !Explicit(selector):
			where := contract.Account{Regions: selector.Regions, Clusters: selector.Clusters, Tags: UsesTags(selector.Match)}
			for _, account := range s.accountsOf(selector.Match) {
				look(account, where)
			}
		case s.Tags:
			look(selector.Account, contract.Account{Regions: []string{selector.Region}, Clusters: []string{selector.Cluster}})
		}
	}
	accounts := make([]contract.Account, 0, len(found))
	for id, account := range found {
		account.Regions, account.Clusters = once(account.Regions), once(account.Clusters)
		if everyName[id] {
			account.Clusters = nil
		}
		accounts = append(accounts, *account)
	}
	slices.SortFunc(accounts, func(a, b contract.Account) int { return cmp.Compare(a.Account, b.Account) })
	return accounts
}

// accountsOf returns the accounts that a selector names, each once.
func (s Search) accountsOf(m contract.Match) []string {
	var accounts []string
	for _, id := range m.Accounts {
		if id == AnyAccount {
			accounts = append(accounts, s.Configured...)
		} else {
			accounts = append(accounts, id)
		}
	}
	for _, unit := range m.OrganizationalUnits {
		accounts = append(accounts, s.Units[unit]...)
	}
	return once(accounts)
}

// excludes says whether an account is taken out as a whole.
func (s Search) excludes(account string) bool {
	return slices.ContainsFunc(s.Exclude, func(m contract.Match) bool {
		return len(m.Regions) == 0 && len(m.Clusters) == 0 && len(m.Tags) == 0 && inAccounts(m, account, s.Units, s.Configured)
	})
}

func once(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
