package main

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
	"github.com/crossapply/crossapply/shared/runs"
	"github.com/crossapply/crossapply/shared/selector"
	"github.com/crossapply/crossapply/shared/waves"
)

// layOut lays targets out in the waves of a request, and finds the overrides of each.
// prefix is that of the execution's objects.
func layOut(parsed request.Parsed, c choice, targets []selector.Cluster, prefix string) (contract.Layout, field.ErrorList) {
	planned, of := parsed.Rollout.Waves, waves.Layout(targets, parsed.Rollout.Waves, c.fits)
	if unmatched := waves.Unmatched(of); len(unmatched) > 0 {
		if parsed.Rollout.Unmatched != contract.UnmatchedLast {
			return contract.Layout{}, refuseUnmatched(targets, unmatched)
		}
		for _, target := range unmatched {
			of[target] = len(planned)
		}
		planned = append(slices.Clone(planned), parsed.Rollout.Rest)
	}
	layout := contract.Layout{
		Targets: make([]contract.PlannedTarget, 0, len(targets)), ApprovalTimeoutSeconds: parsed.Rollout.ApprovalTimeoutSeconds, Strict: parsed.Rollout.Strict,
	}
	used := make([]bool, len(parsed.Overrides))
	for w, wave := range planned {
		before := len(layout.Targets)
		for i, target := range targets {
			if of[i] != w {
				continue
			}
			overrides := overridesOf(parsed.Overrides, c, target, wave.Name)
			for _, o := range overrides {
				used[o] = true
			}
			layout.Targets = append(layout.Targets, contract.PlannedTarget{Target: target.Target, Wave: w + 1, Overrides: overrides})
		}
		layout.Waves = append(layout.Waves, plannedWave(wave, prefix+runs.WaveItems(w+1), len(layout.Targets)-before))
	}
	var problems field.ErrorList
	for i, used := range used {
		if !used && !parsed.Lenient && !c.looksInFailed(parsed.Overrides[i].Match) {
			problems = append(problems, field.Invalid(field.NewPath("overrides").Index(i).Child("match"), field.OmitValueType{}, "matches none of the targets"))
		}
	}
	return layout, problems
}

func plannedWave(wave waves.Wave, itemsKey string, total int) contract.PlannedWave {
	planned := contract.PlannedWave{
		Name: wave.Name, ItemsKey: itemsKey, Total: total, MaxConcurrency: wave.MaxConcurrency,
		BakeSeconds: wave.BakeSeconds, Approval: wave.Approval, Window: wave.Window,
	}
	if wave.MaxFailures != nil {
		budget := wave.MaxFailures.Of(total)
		planned.MaxFailures = &budget
	}
	return planned
}

// overridesOf returns the indexes of the overrides that a target of a wave has.
func overridesOf(overrides []request.Override, c choice, target selector.Cluster, wave string) []int {
	var indexes []int
	for i, o := range overrides {
		if c.fits(o.Match, target) && (len(o.Waves) == 0 || slices.Contains(o.Waves, wave)) {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

func refuseUnmatched(targets []selector.Cluster, unmatched []int) field.ErrorList {
	path := field.NewPath("rollout", "waves")
	names := make([]string, len(unmatched))
	for i, target := range unmatched {
		names[i] = targets[target].String()
	}
	return field.ErrorList{field.Invalid(path, field.OmitValueType{},
		fmt.Sprintf("no wave takes %s: with rollout.unmatched \"last\" they are a last wave", some(names, maxUnmatched)))}
}

// itemsOf returns the items of the Map over the targets of each wave.
func itemsOf(layout contract.Layout) [][]contract.TargetItem {
	items := make([][]contract.TargetItem, len(layout.Waves))
	for _, target := range layout.Targets {
		w := target.Wave - 1
		items[w] = append(items[w], contract.TargetItem{Target: target.Target, Overrides: target.Overrides})
	}
	return items
}

// bound keeps the concurrency of the waves to what the functions can work on at once,
// and says where that makes a difference.
func bound(layout *contract.Layout, most int) (notes []string) {
	if most == 0 {
		return nil
	}
	for i := range layout.Waves {
		wave := &layout.Waves[i]
		if most >= wave.MaxConcurrency {
			continue
		}
		note := fmt.Sprintf("At most %d targets are worked on at once, not %d: the configuration reserves no more concurrency for the functions.",
			most, wave.MaxConcurrency)
		if most < wave.Total && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
		wave.MaxConcurrency = most
	}
	return notes
}
