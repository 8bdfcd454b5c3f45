// Package selector is a stand-in.
package selector

import (
	"path"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
)

type Cluster struct {
	contract.Target
	Tags map[string]string
}

type Units map[string][]string

func Matches(m contract.Match, c Cluster, units Units, configured []string) bool {
	if len(m.Clusters) == 0 {
		return true
	}
	return slices.ContainsFunc(m.Clusters, func(p string) bool { ok, _ := path.Match(p, c.Cluster); return ok })
}

func Explicit(s contract.TargetSelector) bool { return s.Cluster != "" }
