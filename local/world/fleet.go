package world

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/eksauth"
)

// Fleet asks for thousands of EKS clusters that share a few API servers, see
// [cluster.Fleet].
type Fleet struct {
	// Servers is how many API servers there are; 0 means 2.
	Servers int
	// Objects are what all of them hold beside the examples, such as rules of RBAC; none
	// is in a namespace.
	Objects []*unstructured.Unstructured
	// Members are clusters in accounts of the deployment. NoRBAC and NoCRD are not for
	// them, since they share both.
	Members []Cluster
	// Accounts is how many more accounts there are, each with an access role like those
	// of the deployment that may describe every cluster there; Regions in which Regions
	// each has clusters (empty means the hub's), and Clusters how many in each of these.
	Accounts, Clusters int
	Regions            []string
	// Tags, if not nil, returns the tags of a cluster in EKS.
	Tags func(target contract.Target) map[string]string
}

func (f Fleet) withDefaults(d Deployment) Fleet {
	if f.Servers == 0 {
		f.Servers = 2
	}
	if len(f.Regions) == 0 {
		f.Regions = []string{d.Region}
	}
	return f
}

// accounts returns the ids, from 700000000001.
func (f Fleet) accounts() []string {
	ids := make([]string, f.Accounts)
	for i := range ids {
		ids[i] = fmt.Sprintf("7%011d", i+1)
	}
	return ids
}

// clusters returns the members and cluster-0001 and so on in each account and Region.
func (f Fleet) clusters() []Cluster {
	clusters := slices.Clone(f.Members)
	for _, account := range f.accounts() {
		for _, region := range f.Regions {
			for i := range f.Clusters {
				c := Cluster{Target: contract.Target{Account: account, Region: region, Cluster: fmt.Sprintf("cluster-%04d", i+1)}}
				if f.Tags != nil {
					c.Tags = f.Tags(c.Target)
				}
				clusters = append(clusters, c)
			}
		}
	}
	return clusters
}

// servers describes the API servers, with what the clusters have in common.
func (f Fleet) servers(d Deployment) ([]cluster.Spec, error) {
	objects, err := cluster.DecodeFiles(examples.Files, "crd.yaml", "rbac.yaml")
	if err != nil {
		return nil, fmt.Errorf("read the examples: %w", err)
	}
	specs := make([]cluster.Spec, f.Servers)
	objects = append(objects, f.Objects...)
	for i := range specs {
		specs[i] = cluster.Spec{Name: fmt.Sprintf("fleet-%d", i), Account: d.Account, Region: d.Region, Objects: objects}
	}
	return specs, nil
}

// startFleet serves the clusters over the API servers, and describes them in EKS.
func (w *World) startFleet(f Fleet, sts *url.URL, intercept func(cluster.Spec, http.Handler) http.Handler) error {
	namespaces := []*unstructured.Unstructured{cluster.Namespace(Namespace)}
	config := cluster.FleetConfig{Servers: w.shared, STS: sts, Intercept: intercept}
	clusters := f.clusters()
	for _, c := range clusters {
		if !c.Absent {
			config.Clusters = append(config.Clusters, cluster.Spec{
				Name: c.Cluster, Account: c.Account, Region: c.Region, AccessEntries: c.accessEntries(), Objects: namespaces,
			})
		}
	}
	var err error
	if w.fleet, err = cluster.StartFleet(config); err != nil {
		return err
	}
	for _, c := range clusters {
		described, err := w.describe(c)
		if err != nil {
			return err
		}
		w.AWS.EKS.Put(described)
	}
	return nil
}

// FleetTargets returns the clusters of the fleet.
func (w *World) FleetTargets() []contract.Target {
	if w.fleet == nil {
		return nil
	}
	var targets []contract.Target
	for _, virtual := range w.fleet.Clusters() {
		targets = append(targets, contract.Target{Account: virtual.Account, Region: virtual.Region, Cluster: virtual.Name})
	}
	return targets
}

// FleetCluster returns a cluster of the fleet, and nil where there is none.
func (w *World) FleetCluster(target contract.Target) *cluster.Virtual {
	if w.fleet == nil {
		return nil
	}
	return w.fleet.Cluster(target.String())
}

// APIServers returns all API servers, those that a fleet shares too.
func (w *World) APIServers() []*cluster.Cluster { return w.control.Clusters() }

// withAccounts returns the deployment as it were with more target accounts. Each
// has the access role of an account that is there, the functions' policies name it
// beside that one, and selectors find it.
func (d Deployment) withAccounts(accounts []string) (Deployment, error) {
	i := slices.IndexFunc(d.Roles, func(r Role) bool { return r.Account != d.Account && r.Name == accessRoleName })
	if i < 0 {
		return d, fmt.Errorf("the deployment has no role %s", accessRoleName)
	}
	model := d.Roles[i]
	access := eksauth.AccessRole{Partition: d.Partition(), Name: accessRoleName}
	roles := make([]Role, 0, len(d.Roles)+len(accounts))
	for _, role := range d.Roles {
		var err error
		role.Policies, err = mapResources(role.Policies, func(resources []any) []any {
			if slices.Contains(resources, any(access.ARN(model.Account))) {
				for _, account := range accounts {
					resources = append(resources, access.ARN(account))
				}
			}
			return resources
		})
		if err != nil {
			return d, fmt.Errorf("role %s of account %s: %w", role.Name, role.Account, err)
		}
		roles = append(roles, role)
	}
	for _, account := range accounts {
		every := fmt.Sprintf("arn:%s:eks:*:%s:cluster/*", d.Partition(), account)
		policies, err := mapResources(model.Policies, func([]any) []any { return []any{every} })
		if err != nil {
			return d, fmt.Errorf("role %s of account %s: %w", model.Name, account, err)
		}
		roles = append(roles, Role{Account: account, Name: model.Name, Trust: model.Trust, Policies: policies})
	}
	d.Roles = roles
	d.Substitutions = maps.Clone(d.Substitutions)
	d.Substitutions[deployment.AccountsPlaceholder] = strings.Join(append(strings.Fields(d.Substitutions[deployment.AccountsPlaceholder]), accounts...), " ")
	return d, nil
}

// mapResources changes the resources of all statements.
func mapResources(policies []json.RawMessage, change func([]any) []any) ([]json.RawMessage, error) {
	changed := make([]json.RawMessage, len(policies))
	for i, text := range policies {
		var policy map[string]any
		if err := json.Unmarshal(text, &policy); err != nil {
			return nil, fmt.Errorf("read the policy: %w", err)
		}
		statements, _ := policy["Statement"].([]any)
		for _, statement := range statements {
			statement := statement.(map[string]any)
			resources, many := statement["Resource"].([]any)
			if !many {
				resources = []any{statement["Resource"]}
			}
			statement["Resource"] = change(resources)
		}
		body, err := json.Marshal(policy)
		if err != nil {
			return nil, fmt.Errorf("write the policy: %w", err)
		}
		changed[i] = body
	}
	return changed, nil
}
