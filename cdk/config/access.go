package config

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/regions"
)

// Home is the Region whose stack makes the account's access role.
func (c Config) Home(account Account) string {
	if c.StackSet != nil {
		return c.StackSet.HomeRegion
	}
	return cmp.Or(account.HomeRegion, c.Hub.Region)
}

// RoleARN returns the ARN of a role of the deployment in an account.
func (c Config) RoleARN(account, name string) string {
	return c.iamARN(account, "role"+cmp.Or(c.RolePath, "/")+name)
}

// BoundaryARN returns the ARN of the permissions boundary in an account, and
// nothing when there is none.
func (c Config) BoundaryARN(account string) string {
	if c.PermissionsBoundary == "" {
		return ""
	}
	return c.iamARN(account, "policy/"+c.PermissionsBoundary)
}

func (c Config) iamARN(account, resource string) string {
	return fmt.Sprintf("arn:%s:iam::%s:%s", regions.Partition(c.Hub.Region), account, resource)
}

// QualifiedAccessRole is the access role's name with its path in front, as it
// stands in the role's ARN.
func (c Config) QualifiedAccessRole() string {
	return strings.TrimPrefix(c.RolePath, "/") + c.AccessRoleName
}

// NamesAccounts says whether the functions' policies name the target accounts
// one by one; otherwise they name the organisation.
func (c Config) NamesAccounts() bool {
	return len(c.Accounts) <= MaxNamedAccounts && !c.everyAccount()
}

func (c Config) everyAccount() bool { return c.StackSet != nil && c.StackSet.AllAccounts }

// Place is what one account needs in one Region: the access entries of its
// clusters there.
type Place struct {
	Account string
	Region  string
	// Clusters are the names of the clusters.
	Clusters []string
}

// Places lists where access entries are made: by account and, within an account,
// by Region and cluster in alphabetical order.
func (c Config) Places() []Place {
	var places []Place
	for _, account := range c.Accounts {
		clusters := slices.SortedFunc(slices.Values(account.Clusters), func(a, b Cluster) int {
			return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Name, b.Name))
		})
		for _, cluster := range clusters {
			if cluster.WithoutEntry {
				continue
			}
			if n := len(places); n == 0 || places[n-1].Account != account.ID || places[n-1].Region != cluster.Region {
				places = append(places, Place{Account: account.ID, Region: cluster.Region})
			}
			last := &places[len(places)-1]
			last.Clusters = append(last.Clusters, cluster.Name)
		}
	}
	return places
}

// Spread divides the places among the templates of [StackSet.Templates]. All of
// an account are in one template, which depends on nothing but the account's id
// and the number of templates; and where that grows, an account stays where it is
// or moves to a new template, which is deployed after the others have let go of
// it. This is jump consistent hashing: https://arxiv.org/abs/1406.2294
func (c Config) Spread() [][]Place {
	templates := make([][]Place, c.StackSet.Templates)
	for _, place := range c.Places() {
		i := jump(place.Account, len(templates))
		templates[i] = append(templates[i], place)
	}
	return templates
}

func jump(key string, buckets int) int {
	hash := fnv.New64a()
	hash.Write([]byte(key)) //nolint:gosec // a hash takes everything
	state, bucket, next := hash.Sum64(), int64(0), int64(0)
	for next < int64(buckets) {
		bucket = next
		state = state*2862933555777941757 + 1
		next = int64(float64(bucket+1) * (float64(1<<31) / float64(state>>33+1)))
	}
	return int(bucket)
}

// LooksIn returns the Regions in which a request looks for clusters where it names
// none, in alphabetical order.
func (c Config) LooksIn() []string {
	regions := slices.Clone(c.Regions)
	if len(regions) == 0 {
		regions = []string{c.Hub.Region}
		for _, account := range c.Accounts {
			for _, cluster := range account.Clusters {
				regions = append(regions, cluster.Region)
			}
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

// Units returns the organisational units in which every account has the access role.
func (c Config) Units() []string {
	if !c.everyAccount() {
		return nil
	}
	return c.StackSet.OrganizationalUnitIDs
}

// Discovers says whether clusters are discovered in any account, known or not.
func (c Config) Discovers() bool {
	return c.everyAccount() || slices.ContainsFunc(c.Accounts, func(a Account) bool { return a.Discovery })
}
