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

// placed is a match and where it stands in the request.
type placed struct {
	contract.Match
	path *field.Path
}

// matchesOf returns the matches of a request: those of the selectors, and all others.
func matchesOf(parsed request.Parsed) (selecting, others []placed) {
	for i, s := range parsed.Selectors {
		selecting = append(selecting, placed{s.Match, parsed.SelectorPath(i)})
	}
	for i, m := range parsed.Exclude {
		others = append(others, placed{m, field.NewPath("exclude").Index(i)})
	}
	for i, o := range parsed.Overrides {
		others = append(others, placed{o.Match, field.NewPath("overrides").Index(i).Child("match")})
	}
	for i, w := range parsed.Rollout.Waves {
		if w.Match != nil {
			others = append(others, placed{*w.Match, field.NewPath("rollout", "waves").Index(i).Child("match")})
		}
	}
	return selecting, others
}

func plain(matches []placed) []contract.Match {
	all := make([]contract.Match, len(matches))
	for i, m := range matches {
		all[i] = m.Match
	}
	return all
}

// newChoice returns what the targets of a request are chosen by, before anything was
// found.
func (p Planner) newChoice(ctx context.Context, configured contract.ConfiguredTargets, parsed request.Parsed) (choice, field.ErrorList, error) {
	selecting, others := matchesOf(parsed)
	all := slices.Concat(selecting, others)
	units := selector.UnitsOf(plain(all)...)
	ofConfiguration := strings.Fields(configured.OrganizationalUnits)
	if problems := p.refuseUnits(all, len(ofConfiguration) > 0); len(problems) > 0 {
		return choice{}, problems, nil
	}
	if slices.ContainsFunc(all, anyAccount) {
		units = slices.Compact(slices.Sorted(slices.Values(append(units, ofConfiguration...))))
	}
	c := choice{path: parsed.SelectorPath}
	c.Selectors, c.Exclude = selector.InRegions(parsed.Selectors, strings.Fields(configured.Regions)), parsed.Exclude
	c.Tags, c.Configured = selector.UsesTags(plain(others)...), strings.Fields(configured.Accounts)
	if len(units) == 0 {
		return c, nil, nil
	}
	var err error
	if c.Units, err = unitsOf(ctx, p.organization, units); err != nil {
		return choice{}, nil, err
	}
	for _, unit := range ofConfiguration {
		c.Configured = append(c.Configured, c.Units[unit]...)
	}
	return c, nil, nil
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
				"the configuration of this deployment does not allow to list the organization's accounts (organizations)"))
		}
		if anyAccount(m) && ofConfiguration {
			problems = append(problems, field.Forbidden(m.path.Child("accounts"),
				"the configuration has organizational units, but does not allow to list their accounts (organizations): name accounts"))
		}
	}
	return problems
}
