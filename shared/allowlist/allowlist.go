// Package allowlist is the list of what a deployment may touch at all, whatever a
// request asks for and whatever a cluster would let it do. The configuration gives
// it, plan holds requests to it, and the RBAC rules that the deployment writes grant
// it and nothing more.
package allowlist

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
)

// Any stands for all kinds of a group.
const Any = "*"

// Rule allows a kind, or all kinds of a group.
type Rule struct {
	// Group is the API group, such as "kafka.strimzi.io"; empty for the core group.
	Group string `json:"group,omitempty"`
	// Kind is the kind, such as "KafkaTopic", or "*" for all kinds of the group.
	// Required.
	Kind string `json:"kind"`
	// Plural is the kind's name in RBAC rules, such as "kafkatopics", or "*" with
	// the kind "*". Required.
	Plural string `json:"plural"`
	// Namespaces keeps it to objects in these namespaces. The default is the whole
	// cluster, with objects that are in no namespace.
	Namespaces []string `json:"namespaces,omitempty"`
}

// List is what is allowed. An empty one allows everything.
type List []Rule

// Parse reads a list as [List.String] writes it; an empty text is an empty list.
func Parse(text string) (List, error) {
	if text == "" {
		return nil, nil
	}
	var list List
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("read the list of what is allowed: %w", err)
	}
	return list, nil
}

// String returns the list as JSON, and nothing for an empty one.
func (l List) String() string {
	if len(l) == 0 {
		return ""
	}
	text, err := json.Marshal(l)
	if err != nil {
		panic(err) // texts in lists: there is nothing that could fail
	}
	return string(text)
}

// Refuse says why an object is not allowed, and nothing where it is.
func (l List) Refuse(ref contract.ResourceRef) (why string) {
	if len(l) == 0 {
		return ""
	}
	group := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group
	name := kind(group, cmp.Or(ref.Kind, ref.Plural))
	var namespaces []string
	for _, rule := range l {
		if rule.Group != group || !rule.allows(ref) {
			continue
		}
		if len(rule.Namespaces) == 0 || slices.Contains(rule.Namespaces, ref.Namespace) {
			return ""
		}
		namespaces = append(namespaces, rule.Namespaces...)
	}
	if namespaces != nil {
		return fmt.Sprintf("the configuration of this deployment allows %s in the namespaces %s only", name, strings.Join(namespaces, ", "))
	}
	return fmt.Sprintf("the configuration of this deployment does not allow %s", name)
}

// allows says whether the rule is about an object's kind, which is named in one way or
// the other.
func (r Rule) allows(ref contract.ResourceRef) bool {
	return r.Kind == Any || ref.Kind != "" && r.Kind == ref.Kind || ref.Kind == "" && r.Plural == ref.Plural
}

func kind(group, kind string) string { return schema.GroupKind{Group: group, Kind: kind}.String() }
