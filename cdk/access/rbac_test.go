package access_test

import (
	"bytes"
	"slices"
	"testing"

	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/cdk/access"
	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/operation"
)

// The rules grant what the operations use that the configuration names, and nothing
// more; a wave's check after its bake time takes no more than what it follows.
func TestOperations(t *testing.T) {
	for _, tt := range []struct {
		operations, also []contract.Operation
		verbs            []string
	}{
		{[]contract.Operation{operation.Get}, nil, []string{"get"}},
		{[]contract.Operation{operation.Apply}, []contract.Operation{operation.Verify}, []string{"get", "watch", "create", "patch"}},
		{nil, nil, operation.Verbs()},
	} {
		text, err := access.RBAC([]allowlist.Rule{{Group: "example.com", Kind: "Topic", Plural: "topics"}}, tt.operations...)
		if err != nil {
			t.Fatal(err)
		}
		var role rbac.ClusterRole
		if err := yaml.Unmarshal(bytes.Split(text, []byte("---\n"))[0], &role); err != nil {
			t.Fatal(err)
		}
		if got := role.Rules[0].Verbs; !slices.Equal(got, tt.verbs) {
			t.Errorf("%v: the rules grant %v, want %v", tt.operations, got, tt.verbs)
		}
		for _, verb := range operation.Verbs(tt.also...) {
			if tt.also != nil && !slices.Contains(tt.verbs, verb) {
				t.Errorf("%v does not grant %s, which %v takes", tt.operations, verb, tt.also)
			}
		}
	}
}
