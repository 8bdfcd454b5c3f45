package waves_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/selector"
	"github.com/crossapply/crossapply/shared/waves"
)

func count(n int) waves.Wave   { return waves.Wave{Count: &n} }
func percent(n int) waves.Wave { return waves.Wave{Percent: &n} }
func clusters(patterns ...string) waves.Wave {
	return waves.Wave{Match: &contract.Match{Clusters: patterns}}
}

// fleet returns clusters of these names.
func fleet(names ...string) []selector.Cluster {
	targets := make([]selector.Cluster, len(names))
	for i, name := range names {
		targets[i].Cluster = name
	}
	return targets
}

// numbered returns so many clusters.
func numbered(n int) []selector.Cluster {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	return fleet(names...)
}

func fits(m contract.Match, c selector.Cluster) bool { return selector.Matches(m, c, nil, nil) }

func TestLayout(t *testing.T) {
	const none = waves.None
	rest := waves.Wave{}
	names := []string{"dev-1", "prod-1", "dev-2", "prod-2", "prod-3", "lab"}
	for _, test := range []struct {
		name  string
		waves []waves.Wave
		want  []int
	}{
		{"one", []waves.Wave{rest}, []int{0, 0, 0, 0, 0, 0}},
		{"a canary", []waves.Wave{count(1), rest}, []int{0, 1, 1, 1, 1, 1}},
		{"counts, the last of which takes the rest", []waves.Wave{count(2), count(1), count(1)}, []int{0, 0, 1, 2, 2, 2}},
		{"a count of more than there are", []waves.Wave{count(7), rest}, []int{0, 0, 0, 0, 0, 0}},
		{"by names", []waves.Wave{clusters("dev-*"), clusters("prod-*"), rest}, []int{0, 1, 0, 1, 1, 2}},
		{"by names, and one that none fits", []waves.Wave{clusters("dev-*"), clusters("prod-*")}, []int{0, 1, 0, 1, 1, none}},
		{"the first that fits", []waves.Wave{clusters("*-1"), clusters("dev-*"), rest}, []int{0, 0, 1, 2, 2, 2}},
		{"a wave that nothing fits", []waves.Wave{clusters("x"), rest}, []int{1, 1, 1, 1, 1, 1}},
		{"a wave for which nothing is left", []waves.Wave{clusters("dev-*"), clusters("dev-1"), rest}, []int{0, 2, 0, 2, 2, 2}},
		{"a count of what is left", []waves.Wave{clusters("prod-*"), count(2), rest}, []int{1, 0, 1, 0, 0, 2}},
		{"a percentage of all, of what is left", []waves.Wave{clusters("prod-*"), percent(34), rest}, []int{1, 0, 1, 0, 0, 1}},
		{"a count, then names", []waves.Wave{count(1), clusters("dev-*")}, []int{0, none, 1, none, none, none}},
		{"none fits", []waves.Wave{clusters("x")}, []int{none, none, none, none, none, none}},
	} {
		got := waves.Layout(fleet(names...), test.waves, fits)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		for _, i := range waves.Unmatched(got) {
			if test.want[i] != none {
				t.Errorf("%s: %s is unmatched", test.name, names[i])
			}
		}
	}
	if got := waves.Layout(nil, []waves.Wave{count(1), rest}, fits); len(got) > 0 {
		t.Errorf("of no targets: %v", got)
	}
	if got := waves.Unmatched([]int{0, none, 1, none}); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("unmatched are %v", got)
	}
}

// Of however many targets, no wave of a percentage is empty while some are left, and
// each target is in one wave, in the order of the plan.
func TestPercentages(t *testing.T) {
	for total := range 60 {
		for share := 1; share <= 100; share++ {
			got := waves.Layout(numbered(total), []waves.Wave{percent(share), percent(share), {}}, fits)
			if !slices.IsSorted(got) || len(waves.Unmatched(got)) > 0 {
				t.Fatalf("%d%% of %d: %v", share, total, got)
			}
			first := strings.Count(fmt.Sprint(got), "0")
			if first*100 < total*share || (first-1)*100 >= total*share && total > 0 {
				t.Errorf("%d%% of %d are %d", share, total, first)
			}
		}
	}
}

func TestBudget(t *testing.T) {
	for _, test := range []struct {
		budget      waves.Budget
		total, want int
	}{
		{waves.Budget{}, 10, 0},
		{waves.Budget{Count: 3}, 10, 3},
		{waves.Budget{Count: 30}, 10, 10},
		{waves.Budget{Percent: 5}, 10, 0},
		{waves.Budget{Percent: 5}, 39, 1},
		{waves.Budget{Percent: 5}, 40, 2},
		{waves.Budget{Percent: 100}, 7, 7},
		{waves.Budget{Percent: 100}, 0, 0},
	} {
		if got := test.budget.Of(test.total); got != test.want {
			t.Errorf("%+v of %d is %d, want %d", test.budget, test.total, got, test.want)
		}
	}
}

// Percentages are of all targets and are rounded up, so that no wave is empty; the last
// wave takes the rest.
func ExampleLayout() {
	for _, total := range []int{1, 3, 10, 40, 101} {
		layout := waves.Layout(numbered(total), []waves.Wave{count(1), percent(10), percent(25), {}}, fits)
		sizes := make([]int, 4)
		for _, wave := range layout {
			sizes[wave]++
		}
		fmt.Println(total, "targets in waves of", sizes)
	}
	// Output:
	// 1 targets in waves of [1 0 0 0]
	// 3 targets in waves of [1 1 1 0]
	// 10 targets in waves of [1 1 3 5]
	// 40 targets in waves of [1 4 10 25]
	// 101 targets in waves of [1 11 26 63]
}

// A budget in per cent is rounded down, and no larger than what it is of.
func ExampleBudget_Of() {
	for _, total := range []int{1, 10, 19, 20, 101} {
		five, three := waves.Budget{Percent: 5}, waves.Budget{Count: 3}
		fmt.Printf("of %d targets, %d may fail by \"5%%\", and %d by 3\n", total, five.Of(total), three.Of(total))
	}
	// Output:
	// of 1 targets, 0 may fail by "5%", and 1 by 3
	// of 10 targets, 0 may fail by "5%", and 3 by 3
	// of 19 targets, 0 may fail by "5%", and 3 by 3
	// of 20 targets, 1 may fail by "5%", and 3 by 3
	// of 101 targets, 5 may fail by "5%", and 3 by 3
}
