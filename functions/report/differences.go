package main

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
)

// differences groups the targets of a dry run by what would change there, the
// largest group first.
func differences(good []*contract.Result, size int) (shown []contract.Differences, omitted int) {
	type difference struct {
		Change contract.Change
		Fields *contract.FieldChanges
	}
	var groups []*contract.Differences
	same := map[string]*contract.Differences{}
	for _, result := range good {
		fields := allFields(result)
		key, _ := json.Marshal(difference{result.Change, fields}) // of texts and a number: cannot fail
		group := same[string(key)]
		if group == nil {
			group = &contract.Differences{Change: result.Change, Fields: briefFields(fields)}
			same[string(key)] = group
			groups = append(groups, group)
		}
		if group.Total++; group.Total <= maxNamed {
			group.Targets = append(group.Targets, result.String())
		}
	}
	slices.SortStableFunc(groups, func(a, b *contract.Differences) int { return cmp.Compare(b.Total, a.Total) })
	for _, group := range first(groups, maxDifferences) {
		shown = append(shown, *group)
	}
	shown = fitting(shown, size)
	return shown, len(groups) - len(shown)
}

// allFields returns the fields that would change on a target; of several resources each
// path with its resource before it, and a resource that would be created as a whole.
func allFields(result *contract.Result) *contract.FieldChanges {
	if len(result.Resources) == 0 {
		return result.Fields
	}
	all := &contract.FieldChanges{}
	for _, one := range result.Resources {
		named := func(paths []string) []string {
			var names []string
			for _, path := range paths {
				names = append(names, one.Resource.String()+" "+path)
			}
			return names
		}
		switch {
		case one.Change == contract.Created:
			all.Added = append(all.Added, one.Resource.String())
		case one.Fields != nil:
			all.Added = append(all.Added, named(one.Fields.Added)...)
			all.Changed = append(all.Changed, named(one.Fields.Changed)...)
			all.Removed = append(all.Removed, named(one.Fields.Removed)...)
			all.Omitted += one.Fields.Omitted
		}
	}
	if len(all.Added)+len(all.Changed)+len(all.Removed)+all.Omitted == 0 {
		return nil
	}
	return all
}
