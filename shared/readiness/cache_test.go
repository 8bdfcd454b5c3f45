package readiness_test

import (
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/readiness"
)

// Each of several resources is judged by the rule of its own kind; what the request
// says of one kind is not said of the others.
func TestRulesOfSeveralKinds(t *testing.T) {
	var cache readiness.Cache
	topic := contract.ResourceRef{APIVersion: "messaging.example.com/v1", Kind: "Topic", Name: "orders"}
	deployment := contract.ResourceRef{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	run := func(execution, kind string) contract.Run {
		return contract.Run{Execution: execution, Ready: contract.ReadySettings{Kind: kind, Condition: "Synced"}}
	}
	for _, test := range []struct {
		run      contract.Run
		resource contract.ResourceRef
		want     string
	}{
		{run("a", ""), topic, "condition Synced"},
		{run("a", ""), deployment, "condition Synced"},
		{run("b", "Topic"), topic, "condition Synced"},
		{run("b", "Topic"), deployment, "crossapply's rule for apps/Deployment"},
		{run("b", "Topic"), topic, "condition Synced"},
		{run("c", "Deployment"), topic, "condition Ready"},
	} {
		rule, err := cache.Of(test.run, test.resource)
		if err != nil || rule.String() != test.want {
			t.Errorf("%s of %s: %v, %v, want %s", test.resource, test.run.Execution, rule, err, test.want)
		}
		if again, _ := cache.Of(test.run, test.resource); again != rule {
			t.Errorf("%s of %s is compiled twice", test.resource, test.run.Execution)
		}
	}
	broken := contract.Run{Execution: "d", Ready: contract.ReadySettings{Expressions: &contract.ReadyExpressions{Current: "("}}}
	if _, err := cache.Of(broken, topic); fault.NameOf(err) != fault.RuleFailed {
		t.Errorf("got %v", err)
	}
}
