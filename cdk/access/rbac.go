package access

import (
	"bytes"
	"fmt"
	"slices"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/operation"
)

// RBAC returns the rules to be applied in every cluster, as YAML: what the
// group of the access entries may do with what the configuration allows, which is
// what those operations use, or all operations where none is named.
func RBAC(allowed []allowlist.Rule, operations ...contract.Operation) ([]byte, error) {
	rules := map[string][]rbac.PolicyRule{} // by namespace; "" is the whole cluster
	for _, r := range allowed {
		namespaces := r.Namespaces
		if len(namespaces) == 0 {
			namespaces = []string{""}
		}
		for _, namespace := range namespaces {
			rules[namespace] = append(rules[namespace], rbac.PolicyRule{
				APIGroups: []string{r.Group}, Resources: []string{r.Plural},
				Verbs: operation.Verbs(operations...),
			})
		}
	}
	var namespaces []string
	for namespace := range rules {
		namespaces = append(namespaces, namespace)
	}
	slices.Sort(namespaces)
	var objects [][]byte
	for _, namespace := range namespaces {
		for _, object := range roleAndBinding(namespace, rules[namespace]) {
			text, err := yaml.Marshal(object)
			if err != nil {
				return nil, fmt.Errorf("write the RBAC rules: %w", err)
			}
			objects = append(objects, text)
		}
	}
	return bytes.Join(objects, []byte("---\n")), nil
}

func roleAndBinding(namespace string, rules []rbac.PolicyRule) []any {
	at := meta.ObjectMeta{Name: deployment.Group, Namespace: namespace}
	subjects := []rbac.Subject{{APIGroup: rbac.GroupName, Kind: rbac.GroupKind, Name: deployment.Group}}
	kind := func(name string) meta.TypeMeta {
		return meta.TypeMeta{APIVersion: rbac.SchemeGroupVersion.String(), Kind: name}
	}
	if namespace == "" {
		return []any{
			rbac.ClusterRole{TypeMeta: kind("ClusterRole"), ObjectMeta: at, Rules: rules},
			rbac.ClusterRoleBinding{TypeMeta: kind("ClusterRoleBinding"), ObjectMeta: at, Subjects: subjects,
				RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: deployment.Group}},
		}
	}
	return []any{
		rbac.Role{TypeMeta: kind("Role"), ObjectMeta: at, Rules: rules},
		rbac.RoleBinding{TypeMeta: kind("RoleBinding"), ObjectMeta: at, Subjects: subjects,
			RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "Role", Name: deployment.Group}},
	}
}
