package request

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/regions"
)

var (
	accountID = regexp.MustCompile(`^[0-9]{12}$`)
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
	clusterName = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
)

func parseTargets(selectors []contract.TargetSelector, scope regions.Scope, path *field.Path) ([]contract.Target, field.ErrorList) {
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
		if invalid := checkTarget(t, scope, path.Index(i)); len(invalid) > 0 {
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

func checkTarget(t contract.Target, scope regions.Scope, path *field.Path) field.ErrorList {
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
	// What passes is made a host name of.
	if t.Region == "" {
		problems = append(problems, field.Required(path.Child("region"), "must be an AWS Region such as eu-west-1"))
	} else if why := scope.Refuse(t.Region); why != "" {
		problems = append(problems, field.Invalid(path.Child("region"), shorten(t.Region), why))
	}
	matches(t.Cluster, clusterName, "cluster", "must be an EKS cluster's name: up to 100 letters, digits, - and _")
	return problems
}
