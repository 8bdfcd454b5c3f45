package examples_test

import (
	"slices"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/shared/operation"
)

// The example of RBAC rules allows what the operations use.
func TestRBACAllowsTheOperations(t *testing.T) {
	text, err := examples.Files.ReadFile("rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbac.ClusterRole // the first of the file's documents
	if err := yaml.Unmarshal(text, &role); err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) != 1 || !slices.Equal(role.Rules[0].Verbs, operation.Verbs()) {
		t.Errorf("the rules are %+v, the operations use %v", role.Rules, operation.Verbs())
	}
}
