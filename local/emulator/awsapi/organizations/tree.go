package organizations

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
)

// Organization is a tree of units with accounts.
type Organization struct {
	ID         string // such as o-example123
	Root       string // the root's id, such as r-ab12
	Partition  string // "" means aws
	Management string // the account that all others belong to; one of Accounts
	// Delegated are member accounts that may ask as the management account may.
	Delegated []string
	Units     []Unit // a unit comes after its parent
	Accounts  []Account
}

// Unit is an organizational unit.
type Unit struct {
	ID     string // such as ou-ab12-34cd56ef
	Name   string
	Parent string // a unit; "" means the root
}

// Account is a member of an organization.
type Account struct {
	ID     string // twelve digits
	Name   string
	Status string // ACTIVE, SUSPENDED or another of the API's states; "" means ACTIVE
	Parent string // a unit; "" means the root
}

// docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html
var (
	rootPattern = regexp.MustCompile(`^r-[0-9a-z]{4,32}$`)
	unitPattern = regexp.MustCompile(`^ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}$`)
)

// check returns an error for a tree that AWS could not have.
func (o Organization) check() error {
	if !rootPattern.MatchString(o.Root) {
		return fmt.Errorf("organization %s: %q is not the id of a root", o.ID, o.Root)
	}
	parents := []string{o.Root}
	for _, u := range o.Units {
		if !unitPattern.MatchString(u.ID) {
			return fmt.Errorf("organization %s: %q is not the id of a unit", o.ID, u.ID)
		}
		if !slices.Contains(parents, o.parent(u.Parent)) {
			return fmt.Errorf("organization %s: the parent %s of %s is not among the units before it", o.ID, u.Parent, u.ID)
		}
		parents = append(parents, u.ID)
	}
	for _, a := range o.Accounts {
		if !slices.Contains(parents, o.parent(a.Parent)) {
			return fmt.Errorf("organization %s: the parent %s of the account %s does not exist", o.ID, a.Parent, a.ID)
		}
	}
	if !o.has(o.Management) {
		return fmt.Errorf("organization %s: its management account %q is not among its accounts", o.ID, o.Management)
	}
	return nil
}

func (o Organization) parent(id string) string { return cmp.Or(id, o.Root) }

func (o Organization) has(account string) bool {
	return slices.ContainsFunc(o.Accounts, func(a Account) bool { return a.ID == account })
}

// hasParent says whether the root or a unit has that id.
func (o Organization) hasParent(id string) bool {
	return id == o.Root || slices.ContainsFunc(o.Units, func(u Unit) bool { return u.ID == id })
}

// arn is that of a root, a unit or an account, which all lie in the management account.
func (o Organization) arn(kind, id string) string {
	return fmt.Sprintf("arn:%s:organizations::%s:%s/%s/%s", cmp.Or(o.Partition, "aws"), o.Management, kind, o.ID, id)
}

func (o Organization) parentARN(id string) string {
	if id == o.Root {
		return o.arn("root", id)
	}
	return o.arn("ou", id)
}
