package selector_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/selector"
)

const (
	a1, a2, a3 = "111111111111", "222222222222", "333333333333"
	prod, root = "ou-ab12-prodprod", "r-ab12"
)

var (
	units      = selector.Units{prod: {a2}, root: {a1, a2, a3}}
	configured = []string{a1, a2}
)

type tags = map[string]contract.TagValues

func TestMatches(t *testing.T) {
	payments := cluster(a2, "eu-west-1", "payments-1", map[string]string{"env": "prod", "team": "", "tier": "1"})
	lab := cluster(a3, "us-east-1", "lab", nil)
	for _, test := range []struct {
		name          string
		match         contract.Match
		payments, lab bool
	}{
		{"nothing", contract.Match{}, true, true},
		{"an account", contract.Match{Accounts: []string{a1, a2}}, true, false},
		{"the accounts of the configuration", contract.Match{Accounts: []string{"*"}}, true, false},
		{"a unit", contract.Match{OrganizationalUnits: []string{prod}}, true, false},
		{"the root", contract.Match{OrganizationalUnits: []string{root}}, true, true},
		{"a unit without accounts", contract.Match{OrganizationalUnits: []string{"ou-ab12-nonenone"}}, false, false},
		{"an account or a unit", contract.Match{Accounts: []string{a3}, OrganizationalUnits: []string{prod}}, true, true},
		{"a Region", contract.Match{Regions: []string{"eu-central-1", "us-east-1"}}, false, true},
		{"a name", contract.Match{Clusters: []string{"lab"}}, false, true},
		{"half a name", contract.Match{Clusters: []string{"payments"}}, false, false},
		{"a name in another case", contract.Match{Clusters: []string{"Lab"}}, false, false},
		{"a pattern", contract.Match{Clusters: []string{"pay*"}}, true, false},
		{"a pattern with nothing for *", contract.Match{Clusters: []string{"*lab*"}}, false, true},
		{"a pattern in the middle", contract.Match{Clusters: []string{"p*s-?"}}, true, false},
		{"a pattern of one character", contract.Match{Clusters: []string{"la?", "payments-??"}}, false, true},
		{"every name", contract.Match{Clusters: []string{"*"}}, true, true},
		{"a pattern of another language", contract.Match{Clusters: []string{"[lab"}}, false, false},
		{"a tag", contract.Match{Tags: tags{"env": {"prod"}}}, true, false},
		{"one of its values", contract.Match{Tags: tags{"env": {"dev", "prod"}}}, true, false},
		{"another value", contract.Match{Tags: tags{"env": {"Prod"}}}, false, false},
		{"a tag with any value", contract.Match{Tags: tags{"env": nil}}, true, false},
		{"a tag with an empty value", contract.Match{Tags: tags{"team": {""}}}, true, false},
		{"a tag that is not there", contract.Match{Tags: tags{"cost": nil}}, false, false},
		{"two tags", contract.Match{Tags: tags{"env": {"prod"}, "tier": {"1"}}}, true, false},
		{"two tags, one of which fits", contract.Match{Tags: tags{"env": {"prod"}, "tier": {"2"}}}, false, false},
		{"all together", contract.Match{Accounts: []string{a2}, Regions: []string{"eu-west-1"}, Clusters: []string{"payments-*"}, Tags: tags{"env": nil}}, true, false},
		{"all but the Region", contract.Match{Accounts: []string{a2}, Regions: []string{"eu-west-2"}, Clusters: []string{"payments-*"}, Tags: tags{"env": nil}}, false, false},
	} {
		if got := selector.Matches(test.match, payments, units, configured); got != test.payments {
			t.Errorf("%s: payments %t", test.name, got)
		}
		if got := selector.Matches(test.match, lab, units, configured); got != test.lab {
			t.Errorf("%s: lab %t", test.name, got)
		}
	}
}

func cluster(account, region, name string, tags map[string]string) selector.Cluster {
	return selector.Cluster{Target: contract.Target{Account: account, Region: region, Cluster: name}, Tags: tags}
}

func TestExplicit(t *testing.T) {
	for _, test := range []struct {
		selector contract.TargetSelector
		want     bool
	}{
		{contract.TargetSelector{Account: a1, Region: "eu-west-1", Cluster: "a"}, true},
		{contract.TargetSelector{Account: a1}, true},
		{contract.TargetSelector{}, true}, // a name that is left out, more likely than all that selects
		{contract.TargetSelector{Match: contract.Match{Accounts: []string{a1}}}, false},
		{contract.TargetSelector{Match: contract.Match{Tags: tags{}}}, false},
		{contract.TargetSelector{Optional: true}, false},
	} {
		if got := selector.Explicit(test.selector); got != test.want {
			t.Errorf("%+v: %t", test.selector, got)
		}
	}
}

func TestAccounts(t *testing.T) {
	explicit := contract.TargetSelector{Account: a3, Region: "us-east-1", Cluster: "lab"}
	selects := func(m contract.Match) contract.TargetSelector { return contract.TargetSelector{Match: m} }
	all := selects(contract.Match{Accounts: []string{"*"}, Regions: []string{"eu-west-1"}})
	for _, test := range []struct {
		name   string
		search selector.Search
		want   []contract.Account
	}{
		{"nothing to look for", selector.Search{Selectors: []contract.TargetSelector{explicit}}, []contract.Account{}},
		{"the tags of what is named", selector.Search{Selectors: []contract.TargetSelector{explicit, explicit}, Tags: true},
			[]contract.Account{{Account: a3, Regions: []string{"us-east-1"}, Clusters: []string{"lab"}, Tags: true}}},
		{"all accounts", selector.Search{Selectors: []contract.TargetSelector{all, explicit}},
			[]contract.Account{{Account: a1, Regions: []string{"eu-west-1"}}, {Account: a2, Regions: []string{"eu-west-1"}}}},
		{"one account in three ways", selector.Search{Selectors: []contract.TargetSelector{
			selects(contract.Match{Accounts: []string{a2}, OrganizationalUnits: []string{prod}, Regions: []string{"us-east-1", "eu-west-1"}, Clusters: []string{"b*"}}),
			selects(contract.Match{OrganizationalUnits: []string{prod}, Regions: []string{"eu-west-1"}, Clusters: []string{"a*", "b*"}, Tags: tags{"env": nil}}),
		}}, []contract.Account{{Account: a2, Regions: []string{"eu-west-1", "us-east-1"}, Clusters: []string{"a*", "b*"}, Tags: true}}},
		{"every name and some names", selector.Search{Selectors: []contract.TargetSelector{
			all, selects(contract.Match{Accounts: []string{a1}, Regions: []string{"eu-west-1"}, Clusters: []string{"b*"}}),
		}}, []contract.Account{{Account: a1, Regions: []string{"eu-west-1"}}, {Account: a2, Regions: []string{"eu-west-1"}}}},
		{"less an account", selector.Search{Selectors: []contract.TargetSelector{all}, Exclude: []contract.Match{{OrganizationalUnits: []string{prod}}}},
			[]contract.Account{{Account: a1, Regions: []string{"eu-west-1"}}}},
		{"less some of an account", selector.Search{Selectors: []contract.TargetSelector{all}, Exclude: []contract.Match{
			{Accounts: []string{a1}, Clusters: []string{"*-lab"}}, {Accounts: []string{a1}, Tags: tags{"env": nil}}, {Accounts: []string{a2}, Regions: []string{"eu-west-1"}}}},
			[]contract.Account{{Account: a1, Regions: []string{"eu-west-1"}}, {Account: a2, Regions: []string{"eu-west-1"}}}},
		{"a unit that has no accounts", selector.Search{Selectors: []contract.TargetSelector{selects(contract.Match{OrganizationalUnits: []string{"ou-ab12-nonenone"}})}}, []contract.Account{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.search.Units, test.search.Configured = units, configured
			if got := test.search.Accounts(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
	if !slices.Equal(configured, []string{a1, a2}) || !slices.Equal(units[root], []string{a1, a2, a3}) {
		t.Error("what was given has changed")
	}
}

func TestInRegions(t *testing.T) {
	given := []contract.TargetSelector{
		{Account: a1, Region: "us-east-1", Cluster: "a"},
		{Match: contract.Match{Accounts: []string{a1}}},
		{Match: contract.Match{Accounts: []string{a1}, Regions: []string{"us-east-1"}}},
	}
	got := selector.InRegions(given, []string{"eu-west-1", "eu-west-2"})
	if got[0].Regions != nil || len(got[1].Regions) != 2 || len(got[2].Regions) != 1 || given[1].Regions != nil {
		t.Errorf("%+v of %+v", got, given)
	}
}
