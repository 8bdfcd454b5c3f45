package main

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/selector"
)

// newChoice returns what the targets of a request are chosen by, before anything was
// found.
func (p Planner) newChoice(ctx context.Context, configured contract.ConfiguredTargets, g given) (choice, error) {
	accounts, units := strings.Fields(configured.Accounts), g.parsed.Units()
	ofConfiguration := strings.Fields(configured.OrganizationalUnits)
	all := matchesOf(g.parsed)
	if err := g.refuse(p.refuseUnits(all, len(ofConfiguration) > 0)); err != nil {
		return choice{}, err
	}
	if slices.ContainsFunc(all, anyAccount) {
		units = slices.Compact(slices.Sorted(slices.Values(append(units, ofConfiguration...))))
	}
	var read selector.Units
	if len(units) > 0 {
		var err error
		if read, err = unitsOf(ctx, p.organization, units); err != nil {
			return choice{}, err
		}
		for _, unit := range ofConfiguration {
			accounts = append(accounts, read[unit]...)
		}
	}
	return choice{
		Search:  g.parsed.Search(strings.Fields(configured.Regions), read, accounts),
		path:    targetsPath(g.parsed),
		lenient: g.parsed.Lenient,
	}, nil
}

// targetsPath returns the path that the selectors of a request stand at.
func targetsPath(parsed request.Parsed) *field.Path {
	if parsed.TargetsFrom != nil {
		return field.NewPath("targetsFrom")
	}
	return field.NewPath("targets")
}

// placed is a match and where it stands in the request.
type placed struct {
	contract.Match
	path *field.Path
}

// matchesOf returns all matches of a request.
func matchesOf(parsed request.Parsed) []placed {
	var all []placed
	for i, s := range parsed.Targets {
		all = append(all, placed{s.Match, targetsPath(parsed).Index(i)})
	}
	for i, m := range parsed.Exclude {
		all = append(all, placed{m, field.NewPath("exclude").Index(i)})
	}
	for i, o := range parsed.Overrides {
		all = append(all, placed{o.Match, field.NewPath("overrides").Index(i).Child("match")})
	}
	for i, w := range parsed.Rollout.Waves {
		if w.Match != nil {
			all = append(all, placed{*w.Match, field.NewPath("rollout", "waves").Index(i).Child("match")})
		}
	}
	return all
}

// anyAccount says whether a match means every account of the configuration.
func anyAccount(m placed) bool { return slices.Contains(m.Accounts, selector.AnyAccount) }

// refuseUnits refuses matches whose accounts only the organization knows, where it may
// not be asked.
func (p Planner) refuseUnits(matches []placed, ofConfiguration bool) field.ErrorList {
	if p.organization != nil {
		return nil
	}
	var problems field.ErrorList
	for _, m := range matches {
		if len(m.OrganizationalUnits) > 0 {
			problems = append(problems, field.Forbidden(m.path.Child("organizationalUnits"),
				"the configuration of this deployment does not let the organization's accounts be listed (organizations)"))
		}
		if anyAccount(m) && ofConfiguration {
			problems = append(problems, field.Forbidden(m.path.Child("accounts"),
				"the configuration has organizational units, but does not let their accounts be listed (organizations): name accounts"))
		}
	}
	return problems
}
