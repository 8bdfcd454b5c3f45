package request

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
)

var (
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	// regionName keeps anything but a Region out of the host names that are made
	// of it.
	regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,10}){1,2}-[0-9]{1,2}$`)
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
)

func parseTargets(selectors []contract.TargetSelector, partition string, path *field.Path) ([]contract.Target, field.ErrorList) {
	if len(selectors) == 0 {
		return nil, field.ErrorList{field.Required(path, "name at least one target: account, region and cluster")}
	}
	if len(selectors) > contract.MaxTargets {
		return nil, field.ErrorList{field.TooMany(path, len(selectors), contract.MaxTargets)}
	}
	var problems field.ErrorList
	targets := make([]contract.Target, len(selectors))
	seen := make(map[contract.Target]int, len(selectors))
	for i, s := range selectors {
		t := contract.Target{Account: s.Account, Region: s.Region, Cluster: s.Cluster}
		targets[i] = t
		if invalid := checkTarget(t, partition, path.Index(i)); len(invalid) > 0 {
			problems = append(problems, invalid...)
			continue
		}
		if first, twice := seen[t]; twice {
			problems = append(problems, field.Invalid(path.Index(i), t.String(), fmt.Sprintf("repeats %s", path.Index(first))))
		}
		seen[t] = i
	}
	return targets, problems
}

func checkTarget(t contract.Target, partition string, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	matches := func(value string, pattern *regexp.Regexp, name, must string) {
		switch {
		case value == "":
			problems = append(problems, field.Required(path.Child(name), must))
		case !pattern.MatchString(value):
			problems = append(problems, field.Invalid(path.Child(name), shorten(value), must))
		}
	}
	matches(t.Account, accountID, "account", "must be the 12 digits of an AWS account id, as a string")
	matches(t.Region, regionName, "region", "must be an AWS Region such as eu-west-1")
	matches(t.Cluster, clusterName, "cluster", "must be an EKS cluster's name: up to 100 letters, digits, - and _")
	if len(problems) == 0 && contract.PartitionOf(t.Region) != partition {
		problems = append(problems, field.Invalid(path.Child("region"), t.Region,
			fmt.Sprintf("lies in partition %s, but a workflow in %s can assume roles in its own only", contract.PartitionOf(t.Region), partition)))
	}
	return problems
}
