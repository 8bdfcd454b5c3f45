// Package fields tells which fields of an object an apply changed, and who owns
// them. Paths are those of structured-merge-diff, which the API server itself
// uses for server-side apply.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
package fields

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

// Changes returns what an apply by manager changed: before is the object as it was
// (nil: there was none), after as the API server answered. It returns nil where
// nothing changed but ownership, or what the cluster itself writes.
func Changes(before, after *unstructured.Unstructured, manager string) (*contract.FieldChanges, error) {
	old, err := typed.DeducedParseableType.FromUnstructured(content(before))
	if err != nil {
		return nil, fmt.Errorf("read the fields before the change: %w", err)
	}
	current, err := typed.DeducedParseableType.FromUnstructured(content(after))
	if err != nil {
		return nil, fmt.Errorf("read the fields after the change: %w", err)
	}
	difference, err := old.Compare(current)
	if err != nil {
		return nil, fmt.Errorf("compare the fields: %w", err)
	}
	given, err := givenUp(before, after, manager)
	if err != nil {
		return nil, err
	}
	// What a default has put back is not gone.
	there, err := current.ToFieldSet()
	if err != nil {
		return nil, fmt.Errorf("list the fields after the change: %w", err)
	}
	return bounded(difference.Added, difference.Modified, difference.Removed.Union(given.Difference(there))), nil
}

// GivenUp names the fields that manager owned before an apply and that nobody owns
// after it: the API server has removed them, or put their defaults in their place.
// It is empty where there are none.
func GivenUp(before, after *unstructured.Unstructured, manager string) (string, error) {
	given, err := givenUp(before, after, manager)
	if err != nil {
		return "", err
	}
	return list(given), nil
}

// givenUp knows the keys of list items, which a comparison of the objects alone
// does not.
func givenUp(before, after *unstructured.Unstructured, manager string) (*fieldpath.Set, error) {
	owned, err := parse(Owned(before, manager))
	if err != nil || owned.Empty() {
		return owned, err
	}
	if after != nil {
		for _, entry := range after.GetManagedFields() {
			set, err := parse(rawOf(entry))
			if err != nil {
				return nil, err
			}
			owned = owned.Difference(set)
		}
	}
	return owned, nil
}

// serverFields are the fields of metadata that the API server writes, and those that
// name the object.
var serverFields = []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "deletionTimestamp",
	"deletionGracePeriodSeconds", "selfLink", "name", "namespace"}

// content returns what a manifest may set of an object.
func content(object *unstructured.Unstructured) map[string]any {
	metadata := map[string]any{}
	fields := map[string]any{"metadata": metadata}
	if object == nil {
		return fields
	}
	given, _ := object.Object["metadata"].(map[string]any)
	for name, value := range given {
		if !slices.Contains(serverFields, name) {
			metadata[name] = value
		}
	}
	for name, value := range object.Object {
		if !slices.Contains([]string{"apiVersion", "kind", "metadata", "status"}, name) {
			fields[name] = value
		}
	}
	return fields
}

// maxPath bounds one path, in bytes: keys of maps may be long.
const maxPath = 200

func bounded(added, changed, removed *fieldpath.Set) *contract.FieldChanges {
	var changes contract.FieldChanges
	left := contract.MaxFieldPaths
	take := func(set *fieldpath.Set) (paths []string) {
		for path := range roots(set) {
			if left == 0 {
				changes.Omitted++
				continue
			}
			left--
			paths = append(paths, fault.Shorten(path.String(), maxPath))
		}
		return paths
	}
	// The removed first: they are what a person must not miss.
	changes.Removed, changes.Changed, changes.Added = take(removed), take(changed), take(added)
	if left == contract.MaxFieldPaths {
		return nil
	}
	return &changes
}

// Owned returns the fields that manager owns by what it applied or wrote, as
// managedFields has them; nil where it owns none. What it wrote to a subresource does
// not count.
func Owned(object *unstructured.Unstructured, manager string) json.RawMessage {
	var owned json.RawMessage
	for _, entry := range entriesOf(object, manager) {
		owned = union(owned, rawOf(entry))
	}
	return owned
}

// union returns the fields of both: most managers have one entry only.
func union(a, b json.RawMessage) json.RawMessage {
	if a == nil {
		return b
	}
	first, err := parse(a)
	if err != nil {
		return a // cannot be: it came from the API server
	}
	second, err := parse(b)
	if err != nil {
		return a
	}
	both, err := first.Union(second).ToJSON()
	if err != nil {
		return a
	}
	return both
}

// entriesOf returns the entries of a manager: one of what it applied, and one of what
// it wrote in another way, for each version of the API.
func entriesOf(object *unstructured.Unstructured, manager string) []metav1.ManagedFieldsEntry {
	if object == nil {
		return nil
	}
	return slices.DeleteFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager != manager || entry.Subresource != ""
	})
}

// Owners returns the managers of a field, whose path is as the API server writes it
// in a conflict, such as ".spec.partitions".
func Owners(object *unstructured.Unstructured, path string) ([]string, error) {
	var owners []string
	for _, entry := range object.GetManagedFields() {
		set, err := parse(rawOf(entry))
		if err != nil {
			return nil, err
		}
		for owned := range set.All() {
			if owned.String() == path && !slices.Contains(owners, entry.Manager) {
				owners = append(owners, entry.Manager)
			}
		}
	}
	return owners, nil
}

// OwnedAt returns when the fields that manager owns, or their values, last changed;
// zero where it owns none. The API server keeps whole seconds.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/ (managedFields.time)
func OwnedAt(object *unstructured.Unstructured, manager string) time.Time {
	var last time.Time
	for _, entry := range entriesOf(object, manager) {
		if entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

// Taken says which of the fields that manager owned after its apply have changed
// since, and by whom, for an object in which what manager owns is not what it was.
// What was changed through a subresource does not count, and where there is nothing
// else the answer is empty: an autoscaler sets the number of replicas through the
// scale subresource, and is meant to.
func Taken(applied json.RawMessage, object *unstructured.Unstructured, manager string) (string, error) {
	lost, err := parse(applied)
	if err != nil {
		return "", err
	}
	current, err := parse(Owned(object, manager))
	if err != nil {
		return "", err
	}
	lost = lost.Difference(current)
	if lost.Empty() {
		return "some of the fields (by another apply as " + manager + ")", nil
	}
	var parts []string
	for _, entry := range object.GetManagedFields() {
		set, err := parse(rawOf(entry))
		if err != nil {
			return "", err
		}
		taken := lost.Intersection(set)
		lost = lost.Difference(set)
		if entry.Subresource == "" && !taken.Empty() {
			parts = append(parts, fmt.Sprintf("%s (by %s)", list(taken), entry.Manager))
		}
	}
	if !lost.Empty() {
		parts = append(parts, list(lost)+" (removed)")
	}
	return fault.Shorten(strings.Join(parts, "; "), fault.MaxRepeated), nil
}

// maxListed bounds how many fields a message names.
const maxListed = 5

func list(set *fieldpath.Set) string {
	var paths []string
	omitted := 0
	for path := range roots(set) {
		if len(paths) == maxListed {
			omitted++
			continue
		}
		paths = append(paths, fault.Shorten(path.String(), maxPath))
	}
	text := strings.Join(paths, ", ")
	if omitted > 0 {
		text += fmt.Sprintf(" and %d more", omitted)
	}
	return text
}

// roots yields the paths of a set that do not lie below another one of it: where a
// whole list item or map is gone, its fields need no mention.
func roots(set *fieldpath.Set) iter.Seq[fieldpath.Path] {
	return func(yield func(fieldpath.Path) bool) {
		for path := range set.All() {
			below := false
			for i := 1; i < len(path) && !below; i++ {
				below = set.Has(path[:i])
			}
			if !below && !yield(path) {
				return
			}
		}
	}
}

func rawOf(entry metav1.ManagedFieldsEntry) json.RawMessage {
	if entry.FieldsV1 == nil {
		return nil
	}
	return entry.FieldsV1.GetRawBytes()
}

func parse(raw json.RawMessage) (*fieldpath.Set, error) {
	set := fieldpath.NewSet()
	if len(raw) == 0 {
		return set, nil
	}
	if err := set.FromJSON(bytes.NewReader(raw)); err != nil {
		return nil, fmt.Errorf("read managedFields: %w", err)
	}
	return set, nil
}
