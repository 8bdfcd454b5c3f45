package request

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/selector"
)

var (
	accountID = form{12, regexp.MustCompile(`^[0-9]{12}$`)}
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
	clusterName    = form{100, regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]*$`)}
	clusterPattern = form{100, regexp.MustCompile(`^[0-9A-Za-z*?][A-Za-z0-9_*?-]*$`)}
	// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html
	unitID = regexp.MustCompile(`^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[0-9a-z]{8,32})$`)
)

const (
	mustBeAccount = "must be the 12 digits of an AWS account id, as a string"
	mustBeRegion  = "must be an AWS Region such as eu-west-1"
)

// targets reads the targets, or where they lie, and what is excluded.
func (p *parser) targets(given contract.Request) {
	path := p.path.Child("targets")
	if given.TargetsFrom != nil {
		p.TargetsFrom = p.input(*given.TargetsFrom, p.path.Child("targetsFrom"))
		if given.Targets != nil {
			p.add(field.Forbidden(path, "targetsFrom says where they lie: give one of the two"))
		}
	} else {
		p.Targets = p.selectors(given.Targets, path)
	}
	path = p.path.Child("exclude")
	if len(given.Exclude) > contract.MaxSelectors {
		p.add(field.TooMany(path, len(given.Exclude), contract.MaxSelectors))
		return
	}
	for i, match := range given.Exclude {
		p.match(match, true, path.Index(i))
	}
	p.Exclude = given.Exclude
}

func (p *parser) selectors(selectors []contract.TargetSelector, path *field.Path) []contract.TargetSelector {
	if len(selectors) == 0 {
		p.add(field.Required(path, "name at least one target by account, region and cluster, or select some by accounts"))
		return nil
	}
	if len(selectors) > contract.MaxTargets {
		p.add(field.TooMany(path, len(selectors), contract.MaxTargets))
		return nil
	}
	seen, selecting := make(map[contract.Target]int, len(selectors)), 0
	for i, s := range selectors {
		at := path.Index(i)
		if !selector.Explicit(s) {
			selecting++
			p.selector(s, at)
			continue
		}
		t := selector.Target(s)
		if !p.target(s, at) {
			continue
		}
		if first, twice := seen[t]; twice {
			p.add(field.Invalid(at, t.String(), fmt.Sprintf("repeats %s", path.Index(first))))
		}
		seen[t] = i
	}
	if selecting > contract.MaxSelectors {
		p.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("%d of them select clusters: at most %d may", selecting, contract.MaxSelectors)))
	}
	return selectors
}

// selector checks what selects clusters.
func (p *parser) selector(s contract.TargetSelector, path *field.Path) {
	if len(s.Accounts) == 0 && len(s.OrganizationalUnits) == 0 {
		p.add(field.Required(path.Child("accounts"), `say in which accounts to look: ids, or "*" for all of the configuration; or give organizationalUnits`))
	}
	p.match(s.Match, false, path)
}

// target checks what names one cluster, and says whether it does.
func (p *parser) target(s contract.TargetSelector, path *field.Path) bool {
	before := len(p.problems)
	matches := func(value string, pattern form, name, must string) {
		switch {
		case value == "":
			p.add(field.Required(path.Child(name), must))
		case !pattern.MatchString(value):
			p.add(field.Invalid(path.Child(name), shorten(value), must))
		}
	}
	matches(s.Account, accountID, "account", mustBeAccount)
	// What passes is made a host name of.
	if s.Region == "" {
		p.add(field.Required(path.Child("region"), mustBeRegion))
	} else if why := p.scope.Refuse(s.Region); why != "" {
		p.add(field.Invalid(path.Child("region"), shorten(s.Region), why))
	}
	matches(s.Cluster, clusterName, "cluster", "must be an EKS cluster's name: up to 100 letters, digits, - and _")
	for _, beside := range []struct {
		name  string
		given bool
	}{
		{"accounts", s.Accounts != nil}, {"organizationalUnits", s.OrganizationalUnits != nil}, {"regions", s.Regions != nil},
		{"clusters", s.Clusters != nil}, {"tags", s.Tags != nil}, {"optional", s.Optional},
	} {
		if beside.given {
			p.add(field.Forbidden(path.Child(beside.name), "account, region and cluster name one cluster: to select some, leave these out"))
		}
	}
	return len(p.problems) == before
}

// Tags of AWS resources.
// https://docs.aws.amazon.com/eks/latest/userguide/eks-using-tags.html#tag-restrictions
const (
	maxTags     = 50
	maxTagKey   = 128
	maxTagValue = 256
)

// match checks what says which clusters are meant. A field that is given must have a
// value: an empty list would fit all, and whoever made it meant none.
func (p *parser) match(m contract.Match, required bool, path *field.Path) {
	const empty = "leave it out, or give it a value: an empty one would fit every cluster"
	list := func(name string, values []string, check func(value string) (why string)) {
		at := path.Child(name)
		switch {
		case values != nil && len(values) == 0:
			p.add(field.Required(at, empty))
		case len(values) > contract.MaxPatterns:
			p.add(field.TooMany(at, len(values), contract.MaxPatterns))
			return
		}
		for i, value := range values {
			if why := check(value); why != "" {
				p.add(field.Invalid(at.Index(i), shorten(value), why))
			}
		}
	}
	must := func(be string, fits func(string) bool) func(string) string {
		return func(value string) string {
			if fits(value) {
				return ""
			}
			return be
		}
	}
	list("accounts", m.Accounts, must(mustBeAccount+`, or "*"`, func(id string) bool { return id == selector.AnyAccount || accountID.MatchString(id) }))
	list("organizationalUnits", m.OrganizationalUnits, must("must be the id of an organizational unit, such as ou-ab12-34cd56ef, or of the root", unitID.MatchString))
	list("regions", m.Regions, p.scope.Refuse)
	list("clusters", m.Clusters, must("must be a pattern of a cluster's name: letters, digits, - and _, and * and ? for any", clusterPattern.MatchString))
	switch {
	case m.Tags != nil && len(m.Tags) == 0:
		p.add(field.Required(path.Child("tags"), empty))
	case len(m.Tags) > maxTags:
		p.add(field.TooMany(path.Child("tags"), len(m.Tags), maxTags))
	default:
		p.tags(m.Tags, path.Child("tags"))
	}
	if required && selector.Empty(m) {
		p.add(field.Required(path, "say which clusters: without a field it would fit all"))
	}
}

func (p *parser) tags(tags map[string]contract.TagValues, path *field.Path) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		at := path.Key(shorten(key))
		if key == "" || len(key) > maxTagKey {
			p.add(field.Invalid(at, shorten(key), fmt.Sprintf("a tag's key has 1 to %d characters", maxTagKey)))
		}
		values := tags[key]
		if values != nil && len(values) == 0 {
			p.add(field.Required(at, "give a value, a list of values, or null for any"))
		}
		if len(values) > contract.MaxPatterns {
			p.add(field.TooMany(at, len(values), contract.MaxPatterns))
			continue
		}
		for _, value := range values {
			if len(value) > maxTagValue {
				p.add(field.TooLong(at, "", maxTagValue))
			}
		}
	}
}
