package config

import (
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Network is a VPC of its own for the functions that call the clusters of some
// targets.
type Network struct {
	// Name becomes part of the functions' names: at most 16 lower-case letters,
	// digits and hyphens. Required.
	Name string `json:"name"`
	// Accounts are the target accounts that it reaches. The default is all.
	Accounts []string `json:"accounts,omitempty"`
	// Regions are the AWS Regions of the clusters that it reaches. The default is
	// all.
	Regions []string `json:"regions,omitempty"`
	// VPC says where in the VPC they run; it lies in the hub's Region. Required.
	VPC VPC `json:"vpc"`
}

var networkName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$`)

func (p *problems) networks(c *Config) {
	if c.VPC != nil {
		p.vpc(*c.VPC, field.NewPath("vpc"))
	}
	seen := map[string]*field.Path{}
	for i, network := range c.Networks {
		at := field.NewPath("networks").Index(i)
		if p.matches(network.Name, networkName, at.Child("name"), "must be at most 16 lower-case letters, digits and hyphens") {
			unique(p, seen, network.Name, network.Name, at.Child("name"))
		}
		if len(network.Accounts) == 0 && len(network.Regions) == 0 {
			p.add(field.Required(at, "name accounts or regions: for all targets there is vpc"))
		}
		for j, account := range network.Accounts {
			p.matches(account, accountID, at.Child("accounts").Index(j), "must be the 12 digits of an AWS account id, as a string")
		}
		for j, region := range network.Regions {
			p.region(c, region, at.Child("regions").Index(j))
		}
		p.vpc(network.VPC, at.Child("vpc"))
	}
}

func (p *problems) vpc(vpc VPC, path *field.Path) {
	p.list(vpc.SubnetIDs, subnetID, path.Child("subnetIds"), "must be a subnet's id")
	p.list(vpc.SecurityGroupIDs, securityGroupID, path.Child("securityGroupIds"), "must be a security group's id")
}
