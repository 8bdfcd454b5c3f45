package fields

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/crossapply/crossapply/shared/fault"
)

// keptByControllers are fields of metadata that controllers write into the objects
// that they work on. No change of ours touches them, so none is taken back there.
var keptByControllers = []string{"finalizers", "ownerReferences"}

// Restored returns live with a change of ours taken back: before is the object as it
// was, and after as the change left it. Its managedFields are those that it shall have:
// first is the object as it was before it was begun to take the change back, which
// may have left entries of its own. What has changed since through a subresource, and
// what controllers keep in metadata, stays as it is. Whether somebody else has changed
// something must be asked first: see [Since].
func Restored(before, after, first, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	merged := merge(restorable(after), restorable(before), restorable(live)).(map[string]any)
	restored := live.DeepCopy()
	metadata, _, _ := unstructured.NestedMap(restored.Object, "metadata")
	replace(metadata, merged["metadata"].(map[string]any), slices.Concat(serverFields, keptByControllers))
	replace(restored.Object, merged, []string{"apiVersion", "kind", "metadata", "status"})
	restored.Object["metadata"] = metadata
	entries, err := ownership(before.GetManagedFields(), after.GetManagedFields(), slices.Concat(
		slices.DeleteFunc(first.GetManagedFields(), ofSubresource),
		slices.DeleteFunc(live.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool { return !ofSubresource(entry) })))
	if err != nil {
		return nil, err
	}
	SetOwnership(restored, entries)
	return restored, nil
}

func ofSubresource(entry metav1.ManagedFieldsEntry) bool { return entry.Subresource != "" }

// Recreated returns the object as it was, to be created anew, and the managedFields
// that it shall have: those of subresources are about what is not created with it.
func Recreated(before *unstructured.Unstructured) (*unstructured.Unstructured, []metav1.ManagedFieldsEntry) {
	object := before.DeepCopy()
	for _, name := range serverFields {
		if name != "name" && name != "namespace" {
			unstructured.RemoveNestedField(object.Object, "metadata", name)
		}
	}
	return object, slices.DeleteFunc(before.GetManagedFields(), ofSubresource)
}

// SetOwnership sets managedFields for an update. An API server takes none for a client
// that does not know of them; that nobody shall own anything is told by an empty one.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields
func SetOwnership(object *unstructured.Unstructured, entries []metav1.ManagedFieldsEntry) {
	if len(entries) == 0 {
		entries = []metav1.ManagedFieldsEntry{{}}
	}
	object.SetManagedFields(entries)
}

// SameOwnership says whether the same managers own the same fields of two objects. An
// API server does not write what differs in times alone.
func SameOwnership(a, b *unstructured.Unstructured) bool {
	return sameEntries(a.GetManagedFields(), b.GetManagedFields())
}

func sameEntries(as, bs []metav1.ManagedFieldsEntry) bool {
	return len(as) == len(bs) && !slices.ContainsFunc(as, func(entry metav1.ManagedFieldsEntry) bool {
		other := find(bs, keyOf(entry))
		return keyOf(other) != keyOf(entry) || !bytes.Equal(rawOf(other), rawOf(entry))
	})
}

// restorable returns what a change of ours can have changed of an object.
func restorable(object *unstructured.Unstructured) map[string]any {
	fields := content(object)
	for _, name := range keptByControllers {
		delete(fields["metadata"].(map[string]any), name)
	}
	return fields
}

// replace gives fields the values of others, but for those that are kept.
func replace(fields, others map[string]any, kept []string) {
	for name := range fields {
		if !slices.Contains(kept, name) {
			delete(fields, name)
		}
	}
	for name, value := range others {
		if !slices.Contains(kept, name) {
			fields[name] = value
		}
	}
}

// Same says whether two objects hold the same, whatever their status, and whoever owns
// it.
func Same(a, b *unstructured.Unstructured) bool {
	return reflect.DeepEqual(restorable(a), restorable(b))
}

// Equal says whether two objects hold the same, owned by the same managers, whatever
// their subresources.
func Equal(a, b *unstructured.Unstructured) bool {
	return Same(a, b) && sameEntries(slices.DeleteFunc(a.GetManagedFields(), ofSubresource), slices.DeleteFunc(b.GetManagedFields(), ofSubresource))
}

// absent stands for a field that is not there.
type absent struct{}

// merge takes a change from base to changed back to original, in live: where only the
// change touched a field, it has its original value again; where others have touched
// it since, it stays as it is. Lists are compared as a whole.
func merge(changed, original, live any) any {
	switch {
	case reflect.DeepEqual(changed, live):
		return original
	case reflect.DeepEqual(changed, original):
		return live
	}
	c, isMap := changed.(map[string]any)
	o, alsoMap := original.(map[string]any)
	l, thirdMap := live.(map[string]any)
	if !isMap || !alsoMap || !thirdMap {
		return live
	}
	merged := map[string]any{}
	for _, fields := range []map[string]any{c, o, l} {
		for name := range fields {
			if value := merge(valueOf(c, name), valueOf(o, name), valueOf(l, name)); value != (absent{}) {
				merged[name] = value
			}
		}
	}
	return merged
}

func valueOf(fields map[string]any, name string) any {
	if value, ok := fields[name]; ok {
		return value
	}
	return absent{}
}

// entryKey tells the entries of managedFields apart.
type entryKey struct {
	manager, apiVersion, subresource string
	operation                        metav1.ManagedFieldsOperationType
}

func keyOf(entry metav1.ManagedFieldsEntry) entryKey {
	return entryKey{entry.Manager, entry.APIVersion, entry.Subresource, entry.Operation}
}

func find(entries []metav1.ManagedFieldsEntry, key entryKey) metav1.ManagedFieldsEntry {
	for _, entry := range entries {
		if keyOf(entry) == key {
			return entry
		}
	}
	return metav1.ManagedFieldsEntry{}
}

// ownership returns the managedFields of an object with a change of ours taken back:
// every manager has what it had before, and besides it what it has taken since. An
// entry that nobody but the change has touched is the one from before, to the second.
func ownership(before, after, live []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, error) {
	var entries []metav1.ManagedFieldsEntry
	done := map[entryKey]bool{}
	for _, entry := range slices.Concat(before, live) {
		key := keyOf(entry)
		if done[key] {
			continue
		}
		done[key] = true
		was, left, is := find(before, key), find(after, key), find(live, key)
		switch {
		case sameEntry(left, is) && keyOf(was) == key:
			entries = append(entries, was)
		case sameEntry(left, is): // the change made it
		default:
			set, err := regained(was, left, is)
			if err != nil {
				return nil, err
			}
			if set != nil {
				entry = *is.DeepCopy()
				if entry.Manager == "" { // all that it had has been taken from it
					entry = *was.DeepCopy()
				}
				entry.FieldsV1 = &metav1.FieldsV1{}
				entry.FieldsV1.SetRawBytes(set)
				entries = append(entries, entry)
			}
		}
	}
	return entries, nil
}

// regained returns what an entry has now, without what the change gave it, and with
// what the change took from it; nil for nothing.
func regained(was, left, is metav1.ManagedFieldsEntry) (json.RawMessage, error) {
	var sets [3]*fieldpath.Set
	for i, entry := range []metav1.ManagedFieldsEntry{was, left, is} {
		set, err := parse(rawOf(entry))
		if err != nil {
			return nil, err
		}
		sets[i] = set
	}
	set := sets[2].Difference(sets[1].Difference(sets[0])).Union(sets[0].Difference(sets[1]))
	if set.Empty() {
		return nil, nil
	}
	return set.ToJSON()
}

func sameEntry(a, b metav1.ManagedFieldsEntry) bool {
	return keyOf(a) == keyOf(b) && a.Time.Equal(b.Time) && bytes.Equal(rawOf(a), rawOf(b))
}

// Since says which fields others have changed since a change left an object as after,
// and who: "" where nobody has. Neither what was changed through a subresource counts,
// which is its controller's or an autoscaler's, nor what controllers keep in metadata.
// With additions false, nor do fields that were added.
func Since(after, live *unstructured.Unstructured, additions bool) (string, error) {
	changed, err := compare(after, live, additions)
	if err != nil || changed.Empty() {
		return "", err
	}
	var parts []string
	known := after.GetManagedFields()
	rest, behindScenes := changed, fieldpath.NewSet()
	for _, entry := range live.GetManagedFields() {
		if sameEntry(find(known, keyOf(entry)), entry) {
			continue
		}
		owned, err := parse(rawOf(entry))
		if err != nil {
			return "", err
		}
		touched := touching(changed, owned)
		rest = rest.Difference(touched)
		if entry.Subresource != "" {
			behindScenes = behindScenes.Union(touched)
		} else if !touched.Empty() {
			parts = append(parts, fmt.Sprintf("%s (by %s)", list(touched), entry.Manager))
		}
	}
	if rest = rest.Difference(behindScenes); !rest.Empty() {
		parts = append(parts, list(rest)+" (removed, or by an unknown manager)")
	}
	return fault.Shorten(strings.Join(parts, "; "), fault.MaxRepeated), nil
}

// Claimed says which of the fields that a change left others have come to own since,
// with the same values, and who, where they are to have other ones: wanted is nil where
// the object is to go. It is "" where there are none.
func Claimed(after, live, wanted *unstructured.Unstructured) (string, error) {
	differing, err := compare(live, wanted, true)
	if err != nil {
		return "", err
	}
	left := fieldpath.NewSet()
	for _, entry := range after.GetManagedFields() {
		set, err := parse(rawOf(entry))
		if err != nil {
			return "", err
		}
		left = left.Union(set)
	}
	var parts []string
	for _, entry := range slices.DeleteFunc(live.GetManagedFields(), ofSubresource) {
		set, err := parse(rawOf(entry))
		if err != nil {
			return "", err
		}
		had, err := parse(rawOf(find(after.GetManagedFields(), keyOf(entry))))
		if err != nil {
			return "", err
		}
		if claimed := touching(differing, set.Difference(had).Intersection(left)); !claimed.Empty() {
			parts = append(parts, fmt.Sprintf("%s (claimed by %s)", list(claimed), entry.Manager))
		}
	}
	return fault.Shorten(strings.Join(parts, "; "), fault.MaxRepeated), nil
}

// compare returns the topmost fields that differ.
func compare(after, live *unstructured.Unstructured, additions bool) (*fieldpath.Set, error) {
	old, err := typed.DeducedParseableType.FromUnstructured(restorable(after))
	if err != nil {
		return nil, fmt.Errorf("read the fields that the change left: %w", err)
	}
	current, err := typed.DeducedParseableType.FromUnstructured(restorable(live))
	if err != nil {
		return nil, fmt.Errorf("read the fields of now: %w", err)
	}
	difference, err := old.Compare(current)
	if err != nil {
		return nil, fmt.Errorf("compare the fields: %w", err)
	}
	all := difference.Modified.Union(difference.Removed)
	if additions {
		all = all.Union(difference.Added)
	}
	changed := fieldpath.NewSet()
	for path := range roots(all) {
		changed.Insert(path.Copy())
	}
	return changed, nil
}

// touching returns the paths of changed that a manager owns, or something below them,
// or the whole of what they lie in.
func touching(changed, owned *fieldpath.Set) *fieldpath.Set {
	touched := fieldpath.NewSet()
	owned.Leaves().Iterate(func(leaf fieldpath.Path) {
		changed.Iterate(func(path fieldpath.Path) {
			shared := min(len(leaf), len(path))
			if leaf[:shared].Equals(path[:shared]) {
				touched.Insert(path.Copy())
			}
		})
	})
	return touched
}

// ChangedBesides says who else than manager has changed an object since it was as
// before: "" where nobody has. It serves where it is not known what a change of
// manager's left. That others have lost fields is manager's doing.
func ChangedBesides(before, live *unstructured.Unstructured, manager string) (string, error) {
	var known []metav1.ManagedFieldsEntry
	if before != nil {
		known = before.GetManagedFields()
	}
	var parts []string
	for _, entry := range live.GetManagedFields() {
		was := find(known, keyOf(entry))
		if entry.Manager == manager || entry.Subresource != "" || sameEntry(was, entry) {
			continue
		}
		gained, err := parse(rawOf(entry))
		if err != nil {
			return "", err
		}
		if entry.Time.Equal(was.Time) { // it has written nothing
			had, err := parse(rawOf(was))
			if err != nil {
				return "", err
			}
			gained = gained.Difference(had)
		}
		if gained = outsideOf(gained, controllers()); !gained.Empty() {
			parts = append(parts, fmt.Sprintf("%s (by %s)", list(gained), entry.Manager))
		}
	}
	return fault.Shorten(strings.Join(parts, "; "), fault.MaxRepeated), nil
}

// controllers returns the fields that controllers write, the status of a kind without a
// status subresource among them.
func controllers() []fieldpath.Path {
	paths := []fieldpath.Path{fieldpath.MakePathOrDie("status")}
	for _, name := range keptByControllers {
		paths = append(paths, fieldpath.MakePathOrDie("metadata", name))
	}
	return paths
}

// outsideOf returns the paths of a set that lie outside of some fields, without those of
// maps around them.
func outsideOf(set *fieldpath.Set, fields []fieldpath.Path) *fieldpath.Set {
	outside := fieldpath.NewSet()
	set.Leaves().Iterate(func(path fieldpath.Path) {
		inside := slices.ContainsFunc(fields, func(around fieldpath.Path) bool {
			return len(path) >= len(around) && path[:len(around)].Equals(around)
		})
		if !inside {
			outside.Insert(path.Copy())
		}
	})
	return outside
}
