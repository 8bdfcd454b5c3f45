package request

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/contract"
)

var (
	apiVersion = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$`)
	kind       = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)
	namespace  = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	// objectName takes the names of custom resources (DNS subdomains) and the
	// few built-in kinds that allow more, and nothing that could leave its place
	// in a URL. The cluster has the last word.
	// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
	objectName = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.:]{0,251}[A-Za-z0-9])?$`)
)

// parseResource reads the resource and takes out what only the cluster writes,
// so that an object read from a cluster can be given as it came.
func parseResource(raw json.RawMessage, path *field.Path) (map[string]any, contract.ResourceRef, field.ErrorList) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, contract.ResourceRef{}, field.ErrorList{field.Required(path, "give the object to apply")}
	}
	if len(raw) > contract.MaxResourceBytes {
		return nil, contract.ResourceRef{}, field.ErrorList{field.Invalid(path, field.OmitValueType{},
			fmt.Sprintf("is %d bytes of JSON: at most %d are accepted", len(raw), contract.MaxResourceBytes))}
	}
	object := map[string]any{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &object); err != nil {
		return nil, contract.ResourceRef{}, field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be a Kubernetes object")}
	}
	ref, problems := parseResourceRef(object, path)
	if ref.APIVersion == "v1" && ref.Kind == "Secret" {
		problems = append(problems, field.Forbidden(path.Child("kind"),
			"an execution's input can be read in its history: keep secrets in a secret store and let the resource name them"))
	}
	problems = append(problems, ofOneCluster(object, path.Child("metadata"))...)
	problems = append(problems, inexact(object, path)...)
	if len(problems) > 0 {
		return nil, ref, problems
	}
	strip(object)
	return object, ref, nil
}

// parseResourceRef reads what names an object.
func parseResourceRef(object map[string]any, path *field.Path) (contract.ResourceRef, field.ErrorList) {
	var problems field.ErrorList
	text := func(pattern *regexp.Regexp, required bool, must string, keys ...string) string {
		at := path.Child(keys[0], keys[1:]...)
		value, found, err := unstructured.NestedString(object, keys...)
		switch {
		case err != nil:
			problems = append(problems, field.Invalid(at, field.OmitValueType{}, "must be a string"))
		case !found || value == "":
			if required {
				problems = append(problems, field.Required(at, must))
			}
		case !pattern.MatchString(value):
			problems = append(problems, field.Invalid(at, shorten(value), must))
		}
		return value
	}
	ref := contract.ResourceRef{
		APIVersion: text(apiVersion, true, "must be an API version such as kafka.strimzi.io/v1beta2", "apiVersion"),
		Kind:       text(kind, true, "must be a kind such as KafkaTopic", "kind"),
		Name:       text(objectName, true, "must be an object's name (an apply needs one; generateName cannot be applied)", "metadata", "name"),
		Namespace:  text(namespace, false, "must be a namespace's name", "metadata", "namespace"),
	}
	return ref, problems
}

// maxExact is the magnitude below which JSONata keeps every whole number: its
// numbers are IEEE doubles. A request passes through JSONata before it is read
// here, so a larger number may have been rounded.
const maxExact = 1 << 53

// inexact returns the numbers in value that may have been rounded.
func inexact(value any, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	large := false
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			problems = append(problems, inexact(value[key], path.Child(key))...)
		}
	case []any:
		for i, item := range value {
			problems = append(problems, inexact(item, path.Index(i))...)
		}
	case int64:
		large = value >= maxExact || value <= -maxExact
	case float64:
		large = math.Abs(value) >= maxExact
	}
	if large {
		problems = append(problems, field.Invalid(path, field.OmitValueType{},
			"is a number of 2^53 or more, which Step Functions may round: give it as a string, or as a quantity such as 16Pi, where the kind allows"))
	}
	return problems
}

// ofOneCluster refuses metadata that has a meaning in one cluster only. Taking it
// out in silence could leave out what the request is about.
func ofOneCluster(object map[string]any, path *field.Path) field.ErrorList {
	metadata, _ := object["metadata"].(map[string]any)
	var problems field.ErrorList
	for _, refused := range []struct{ name, why string }{
		{"finalizers", "leave them out: they belong to controllers of one cluster, and where nobody removes them the object can never be deleted"},
		{"ownerReferences", "leave them out: they name owners by uid, and the garbage collector of a cluster without that owner deletes the object"},
	} {
		value := metadata[refused.name]
		if list, ok := value.([]any); value != nil && (!ok || len(list) > 0) {
			problems = append(problems, field.Forbidden(path.Child(refused.name), refused.why))
		}
	}
	return problems
}

// lastApplied is where kubectl's client-side apply keeps what it applied.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// strip removes what the cluster writes and an apply must not claim, what has
// been found to be empty, and kubectl's own record. A null creationTimestamp alone
// would raise the generation at every apply.
func strip(object map[string]any) {
	delete(object, "status")
	for _, name := range []string{
		"creationTimestamp", "deletionTimestamp", "finalizers", "generation", "managedFields",
		"ownerReferences", "resourceVersion", "selfLink", "uid",
	} {
		unstructured.RemoveNestedField(object, "metadata", name)
	}
	unstructured.RemoveNestedField(object, "metadata", "annotations", lastApplied)
	if annotations, found, err := unstructured.NestedMap(object, "metadata", "annotations"); found && err == nil && len(annotations) == 0 {
		unstructured.RemoveNestedField(object, "metadata", "annotations")
	}
}
