package main

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"golang.org/x/sync/errgroup"

	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/selector"
)

// Organization lists what lies in an organizational unit; *organizations.Client is one.
type Organization interface {
	organizations.ListAccountsForParentAPIClient
	organizations.ListOrganizationalUnitsForParentAPIClient
}

// unit is an organizational unit, or the root: the accounts that can be used in it, and
// the units.
type unit struct{ accounts, units []string }

// unitsAtOnce bounds the calls at a time: Organizations takes few a second.
const unitsAtOnce = 4

// unitsOf returns the accounts of organizational units, those of the units below
// included. It fails with [fault.OrganizationDenied], or with what may pass.
func unitsOf(ctx context.Context, organization Organization, ids []string) (selector.Units, error) {
	read, err := readUnits(ctx, organization, ids)
	if err != nil {
		return nil, err
	}
	var below func(id string) []string
	below = func(id string) []string {
		accounts := slices.Clone(read[id].accounts)
		for _, unit := range read[id].units {
			accounts = append(accounts, below(unit)...)
		}
		return accounts
	}
	units := selector.Units{}
	for _, id := range ids {
		units[id] = below(id)
		slices.Sort(units[id])
	}
	return units, nil
}

// readUnits reads units and all that are below them, by their ids, level by level.
func readUnits(ctx context.Context, organization Organization, ids []string) (map[string]unit, error) {
	read := map[string]unit{}
	for len(ids) > 0 {
		level := make([]unit, len(ids))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(unitsAtOnce)
		for i, id := range ids {
			group.Go(func() (err error) {
				level[i], err = readUnit(ctx, organization, id)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		for i, id := range ids {
			read[id] = level[i]
		}
		ids = nil
		for _, unit := range level {
			for _, id := range unit.units {
				if _, known := read[id]; !known {
					ids = append(ids, id)
				}
			}
		}
	}
	return read, nil
}

func readUnit(ctx context.Context, organization Organization, id string) (unit, error) {
	var u unit
	accounts := organizations.NewListAccountsForParentPaginator(organization, &organizations.ListAccountsForParentInput{ParentId: aws.String(id)})
	for accounts.HasMorePages() {
		page, err := accounts.NextPage(ctx)
		if err != nil {
			return u, organizationFault(err, "list the accounts of "+id)
		}
		for _, account := range page.Accounts {
			// One that is suspended, or not set up yet, cannot be worked in.
			if account.State == types.AccountStateActive {
				u.accounts = append(u.accounts, aws.ToString(account.Id))
			}
		}
	}
	units := organizations.NewListOrganizationalUnitsForParentPaginator(organization, &organizations.ListOrganizationalUnitsForParentInput{ParentId: aws.String(id)})
	for units.HasMorePages() {
		page, err := units.NextPage(ctx)
		if err != nil {
			return u, organizationFault(err, "list the organizational units of "+id)
		}
		for _, below := range page.OrganizationalUnits {
			u.units = append(u.units, aws.ToString(below.Id))
		}
	}
	return u, nil
}

func organizationFault(err error, doing string) error {
	return fault.FromAWS(err, map[string]fault.Name{
		"AccessDeniedException":             fault.OrganizationDenied,
		"AWSOrganizationsNotInUseException": fault.OrganizationDenied,
		"ParentNotFoundException":           fault.OrganizationDenied,
	}, doing)
}
