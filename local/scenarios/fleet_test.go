package scenarios

import (
	"fmt"

	"github.com/crossapply/crossapply/local/emulator/awsapi/organizations"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
)

// The accounts, as local/world/deployments/fleet.yaml has them.
const (
	hub       = "999999999999"
	dev       = "111111111111"
	stage     = "222222222222"
	shop      = "333333333333"
	pay       = "444444444444"
	acquired  = "555555555555"
	vault     = "666666666666"
	suspended = "777777777777"
)

// The organizational units: production lies in the root, like nonprod.
const (
	nonprod = "ou-acme-nonprod1"
	prod    = "ou-acme-production"
)

// variables are those of every script.
var variables = map[string]string{
	"DEV": dev, "STAGE": stage, "SHOP": shop, "PAY": pay, "ACQUIRED": acquired, "VAULT": vault, "SUSPENDED": suspended,
	"NONPROD": nonprod, "PROD": prod,
}

func organization() organizations.Organization {
	return organizations.Organization{
		ID: "o-acme123456", Root: "r-acme", Management: hub,
		Units: []organizations.Unit{{ID: nonprod, Name: "nonprod"}, {ID: prod, Name: "production"}},
		Accounts: []organizations.Account{
			{ID: hub, Name: "hub"},
			{ID: dev, Name: "development", Parent: nonprod}, {ID: stage, Name: "staging", Parent: nonprod},
			{ID: shop, Name: "shop", Parent: prod}, {ID: pay, Name: "payments", Parent: prod},
			{ID: suspended, Name: "closed down", Parent: prod, Status: "SUSPENDED"},
			{ID: acquired, Name: "acquired"}, {ID: vault, Name: "vault"},
		},
	}
}

// fleet returns the clusters.
func fleet() []world.Cluster {
	var all []world.Cluster
	add := func(account, region string, tags map[string]string, names ...string) *world.Cluster {
		for _, name := range names {
			all = append(all, world.Cluster{Target: contract.Target{Account: account, Region: region, Cluster: name}, Tags: tags})
		}
		return &all[len(all)-1]
	}
	tags := func(env, team string) map[string]string { return map[string]string{"env": env, "team": team} }
	const ireland, frankfurt, virginia = "eu-west-1", "eu-central-1", "us-east-1"
	add(dev, ireland, tags("dev", "shop"), numbered("dev", 1, 4)...)
	add(dev, ireland, tags("dev", "payments"), numbered("dev", 5, 8)...)
	add(stage, ireland, tags("stage", "shop"), numbered("stage", 1, 4)...)
	add(stage, frankfurt, tags("stage", "payments"), numbered("stage", 5, 6)...)
	add(shop, ireland, tags("prod", "shop"), numbered("shop", 1, 4)...)
	add(shop, virginia, tags("prod", "shop"), numbered("shop", 5, 6)...)
	add(pay, ireland, tags("prod", "payments"), numbered("pay", 1, 4)...)

	// Those with a fault, which no tag of the others selects.
	add(dev, ireland, tags("lab", "shop"), "lab-unmapped").Unmapped = true // no access entry
	add(dev, ireland, tags("lab", "shop"), "lab-down").Absent = true       // nothing answers
	add(dev, ireland, tags("lab", "shop"), "lab-creating").Status = "CREATING"
	add(dev, ireland, tags("brief", "shop"), "brief-1", "brief-2") // deleted while a rollout runs
	old := add(acquired, ireland, tags("prod", "acquired"), "acquired-1")
	old.OtherExternalID, old.Absent = true, true
	add(vault, ireland, tags("prod", "vault"), "vault-1")                // may not be listed
	add(suspended, ireland, tags("prod", "shop"), "old-1").Absent = true // nobody looks there
	return all
}

func numbered(name string, from, to int) []string {
	var names []string
	for i := from; i <= to; i++ {
		names = append(names, fmt.Sprintf("%s-%d", name, i))
	}
	return names
}
