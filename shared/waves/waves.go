// Package waves lays targets out in the waves of a request. It calls nothing.
package waves

import (
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/selector"
)

// None is the index of no wave.
const None = -1

// Layout says which wave takes each of the targets, by its index, and [None] where none
// does. fits says whether a match fits a target.
//
// Each wave takes its targets from those that no wave before it has taken: all that
// its match fits; or the first of them, so many as its count says, or its percentage of
// all targets, rounded up; or all. The last wave takes all that are left, unless it has
// a match. A wave can be left without targets. No waves are one that takes all.
func Layout(targets []selector.Cluster, waves []contract.Wave, fits func(contract.Match, selector.Cluster) bool) []int {
	of := make([]int, len(targets))
	if len(waves) == 0 {
		return of
	}
	for i := range of {
		of[i] = None
	}
	for w, wave := range waves {
		left := size(wave, len(targets), w == len(waves)-1)
		for i, target := range targets {
			if left == 0 {
				break
			}
			if of[i] == None && (wave.Match == nil || fits(*wave.Match, target)) {
				of[i] = w
				left--
			}
		}
	}
	return of
}

// size is the largest number of targets that a wave takes.
func size(wave contract.Wave, total int, last bool) int {
	switch {
	case last:
		return total
	case wave.Count != nil:
		return *wave.Count
	case wave.Percent != nil:
		return (total**wave.Percent + 99) / 100
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
