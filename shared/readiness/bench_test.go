package readiness_test

import (
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/readiness"
)

// BenchmarkJudge is one verdict over objects that come with Argo CD's checks, by
// each kind of rule, and the check of one that is long.
func BenchmarkJudge(b *testing.B) {
	rollout, cluster := find(b, "argoproj.io/Rollout"), find(b, "postgresql.cnpg.io/Cluster")
	for _, bench := range []struct {
		name        string
		example     example
		expressions contract.ReadyExpressions
		condition   string
	}{
		{name: "expressions", example: rollout, expressions: contract.ReadyExpressions{
			Failed: "status.phase == 'Degraded'", Current: "status.conditions.exists(c, c.type == 'Available' && c.status == 'True')"}},
		{name: "condition", example: rollout, condition: "Available"},
		{name: "Rollout", example: rollout},
		{name: "Cluster", example: cluster},
	} {
		kind := bench.example.object.GroupVersionKind().GroupKind()
		b.Run("New/"+bench.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := readiness.New(bench.expressions, bench.condition, kind); err != nil {
					b.Fatal(err)
				}
			}
		})
		rule, err := readiness.New(bench.expressions, bench.condition, kind)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := rule.Judge(bench.example.object, 1, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// find returns the first object with a status that comes with a check.
func find(b *testing.B, check string) example {
	b.Helper()
	for _, e := range examples(b) {
		if _, ok := e.object.Object["status"]; ok && e.check == check {
			return e
		}
	}
	b.Fatalf("%s has no object with a status", check)
	return example{}
}
