// Package waves lays targets out in the waves of a rollout. It calls nothing.
package waves

import (
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/selector"
)

// Wave is [contract.Wave] with the defaults filled in.
type Wave struct {
	Name string
	// Match, Count and Percent say which targets are in it, at most one of the three.
	Match   *contract.Match
	Count   *int
	Percent *int
	// MaxFailures is how many of its targets may fail; nil where only that of the whole
	// counts.
	MaxFailures    *Budget
	MaxConcurrency int
	BakeSeconds    int
	Approval       bool
	Window         *contract.Window
}

// Budget is how many targets may fail: a count, or a percentage.
type Budget struct {
	Count   int
	Percent int
}

// Of returns the budget of so many targets: a percentage is rounded down, and a count
// larger than all of them means all.
func (b Budget) Of(total int) int { return min(b.Count+total*b.Percent/100, total) }

// None is the index of no wave.
const None = -1

// Layout says which wave takes each of the targets, by the wave's index, and [None]
// where none does. fits says whether a match fits a target.
//
// Each wave takes its targets from those that no wave before it has taken: all that
// its match fits; or the first of them, so many as its count says, or its percentage of
// all targets, rounded up; or all. The last wave takes all that are left, unless it has
// a match. A wave can be left without targets.
func Layout(targets []selector.Cluster, waves []Wave, fits func(contract.Match, selector.Cluster) bool) []int {
	layout := make([]int, len(targets))
	for i := range layout {
		layout[i] = None
	}
	for w, wave := range waves {
		left := wave.most(len(targets), w == len(waves)-1)
		for i, target := range targets {
			if left == 0 {
				break
			}
			if layout[i] == None && (wave.Match == nil || fits(*wave.Match, target)) {
				layout[i] = w
				left--
			}
		}
	}
	return layout
}

// most is the largest number of targets that the wave takes.
func (w Wave) most(total int, last bool) int {
	switch {
	case last:
		return total
	case w.Count != nil:
		return *w.Count
	case w.Percent != nil:
		return (total**w.Percent + 99) / 100
	}
	return total
}

// Unmatched returns the indexes of the targets that a layout gives to no wave.
func Unmatched(layout []int) []int {
	var unmatched []int
	for i, wave := range layout {
		if wave == None {
			unmatched = append(unmatched, i)
		}
	}
	return unmatched
}
