package request

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/readiness"
	"github.com/crossapply/crossapply/shared/strictjson"
)

var (
	apiVersion = form{317, regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9][a-z0-9]*$`)}
	kind       = form{63, regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)}
	apiGroup   = form{253, regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)}
	plural     = form{63, regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)}
	namespace  = form{63, regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)}
	// objectName takes the names of custom resources (DNS subdomains) and the
	// few built-in kinds that allow more, and nothing that could leave its place
	// in a URL. The cluster has the last word.
	// https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
	objectName = form{253, regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.:]*[A-Za-z0-9])?$`)}
	// apiOnlyVersion is a version without its group.
	apiOnlyVersion = form{63, regexp.MustCompile(`^v[0-9][a-z0-9]*$`)}
)

const mustBeNamespace = "must be a namespace's name"

// Resource is one of the objects to act on.
type Resource struct {
	Ref contract.ResourceRef
	// Object is the object without what only a cluster writes, and nil where it is only
	// named.
	Object manifest.Object
	// Rule is what judges whether it is Ready, and nil with an operation after which
	// nothing is judged.
	Rule *readiness.Rule
	// path is where it stands in the request.
	path *field.Path
}

// document is a resource that is not read yet.
type document struct {
	raw  json.RawMessage
	path *field.Path
	// exact says that it has not passed through Step Functions, and so holds the numbers
	// that were written.
	exact bool
}

// resources reads the resources, or where they lie.
func (p *parser) resources(given contract.Request) {
	one, several, from := p.path.Child("resource"), p.path.Child("resources"), p.path.Child("resourceFrom")
	const instead = "give one of resource, resources and resourceFrom"
	if given.ResourceFrom != nil && given.Resources != nil {
		p.add(field.Forbidden(several, instead))
	}
	if !absent(given.Resource) && (given.ResourceFrom != nil || given.Resources != nil) {
		p.add(field.Forbidden(one, instead))
	}
	switch {
	case given.ResourceFrom != nil:
		p.ResourceFrom = p.input(*given.ResourceFrom, from)
		// The rules of the resources are compiled when these are known.
		_, problems := compile(p.Ready, contract.ResourceRef{Kind: p.Ready.Kind}, p.path.Child("ready"))
		p.add(problems...)
	case given.Resources != nil:
		documents := make([]document, len(given.Resources))
		for i, raw := range given.Resources {
			documents[i] = document{raw: raw, path: several.Index(i)}
		}
		p.read(documents, several)
	case absent(given.Resource) && p.Operation == operation.Check:
		p.known = true
	default:
		p.read([]document{{raw: given.Resource, path: one}}, one)
	}
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// maxTotalBytes bounds all resources together, in bytes of JSON.
const maxTotalBytes = 1 << 20

// read reads the resources, which stand at path.
func (p *parser) read(documents []document, path *field.Path) {
	switch {
	case len(documents) == 0:
		p.add(field.Required(path, "give at least one object"))
	case len(documents) > contract.MaxResources:
		p.add(field.TooMany(path, len(documents), contract.MaxResources))
		return
	}
	total, seen := 0, map[contract.ResourceRef]*field.Path{}
	for _, d := range documents {
		total += len(d.raw)
		resource, problems := p.parseResource(d)
		p.add(problems...)
		if len(problems) > 0 {
			continue
		}
		// An object is the same in whatever version of its API.
		same := resource.Ref
		same.APIVersion = group(same)
		if first, twice := seen[same]; twice {
			p.add(field.Invalid(d.path, resource.Ref.String(), fmt.Sprintf("is the object of %s", first)))
		}
		seen[same] = d.path
		p.Resources = append(p.Resources, resource)
	}
	if total > maxTotalBytes {
		p.add(field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("are %d bytes of JSON: at most %d are accepted", total, maxTotalBytes)))
	}
	if p.known = len(p.Resources) == len(documents); !p.known {
		return
	}
	p.rules()
	if p.Delete != nil && p.Delete.UID != "" && len(documents) > 1 {
		p.add(field.Forbidden(p.path.Child("delete", "uid"), "is that of one object, and there are several"))
	}
}

// rules compiles what judges the resources.
func (p *parser) rules() {
	path := p.path.Child("ready")
	if p.Ready.Kind != "" && !slices.ContainsFunc(p.Resources, func(r Resource) bool { return r.Ref.Kind == p.Ready.Kind }) {
		p.add(field.Invalid(path.Child("kind"), shorten(p.Ready.Kind), "is the kind of none of the resources"))
	}
	for i := range p.Resources {
		resource := &p.Resources[i]
		rule, problems := compile(p.Ready, resource.Ref, path)
		p.add(problems...)
		if len(problems) > 0 {
			return // the others have the same expressions
		}
		if !p.traits().ByName {
			resource.Rule = rule
		}
	}
}

// parseResource reads a resource and takes out what only the cluster writes, so that
// an object read from a cluster can be given as it came.
func (p *parser) parseResource(d document) (Resource, field.ErrorList) {
	if absent(d.raw) {
		return Resource{}, field.ErrorList{field.Required(d.path, "give the object to "+shorten(string(p.Operation)))}
	}
	if len(d.raw) > contract.MaxResourceBytes {
		return Resource{}, field.ErrorList{field.Invalid(d.path, field.OmitValueType{},
			fmt.Sprintf("is %d bytes of JSON: at most %d are accepted", len(d.raw), contract.MaxResourceBytes))}
	}
	object := map[string]any{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(d.raw, &object); err != nil || object == nil {
		return Resource{}, field.ErrorList{field.Invalid(d.path, field.OmitValueType{}, "must be a Kubernetes object")}
	}
	if object["apiVersion"] == nil && object["metadata"] == nil && p.traits().ByName {
		ref, problems := parseCoordinates(d.raw, d.path)
		return Resource{Ref: ref, path: d.path}, problems
	}
	ref, problems := parseResourceRef(object, d.path)
	problems = append(problems, noSecret(ref, d.path)...)
	problems = append(problems, ofOneCluster(object, d.path.Child("metadata"))...)
	problems = append(problems, inexact(object, d.exact, d.path)...)
	if len(problems) > 0 {
		return Resource{}, problems
	}
	version, versioned, _ := unstructured.NestedString(object, "metadata", "resourceVersion")
	strip(object)
	if versioned && version != "" && p.Operation == operation.Replace {
		_ = unstructured.SetNestedField(object, version, "metadata", "resourceVersion") // metadata is there: it has the name
	}
	return Resource{Ref: ref, Object: object, path: d.path}, nil
}

func group(ref contract.ResourceRef) string {
	return schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).Group
}

// noSecret refuses a Secret, whichever way it is named.
func noSecret(ref contract.ResourceRef, path *field.Path) field.ErrorList {
	if group(ref) != "" || ref.Kind != "Secret" && ref.Plural != "secrets" {
		return nil
	}
	name := "kind"
	if ref.Kind == "" {
		name = "plural"
	}
	return field.ErrorList{field.Forbidden(path.Child(name),
		"an execution's input can be read in its history: keep secrets in a secret store and let the resource name them")}
}

// coordinates name an object without its body.
type coordinates struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Plural    string `json:"plural"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

func parseCoordinates(raw json.RawMessage, path *field.Path) (contract.ResourceRef, field.ErrorList) {
	var given coordinates
	if problems := strictjson.Unmarshal(raw, &given, path, "resource"); len(problems) > 0 {
		return contract.ResourceRef{}, problems
	}
	var problems field.ErrorList
	check := func(value string, pattern form, required bool, must, name string) {
		switch {
		case value == "" && required:
			problems = append(problems, field.Required(path.Child(name), must))
		case value != "" && !pattern.MatchString(value):
			problems = append(problems, field.Invalid(path.Child(name), shorten(value), must))
		}
	}
	check(given.Group, apiGroup, false, "must be an API group such as kafka.strimzi.io, and is left out for the core group", "group")
	check(given.Version, apiOnlyVersion, true, "must be a version such as v1beta2", "version")
	check(given.Kind, kind, given.Plural == "", "must be a kind such as KafkaTopic (or give its plural)", "kind")
	check(given.Plural, plural, false, "must be a kind's name in URLs, such as kafkatopics", "plural")
	check(given.Namespace, namespace, false, mustBeNamespace, "namespace")
	check(given.Name, objectName, true, "must be an object's name", "name")
	if given.Kind != "" && given.Plural != "" {
		problems = append(problems, field.Forbidden(path.Child("plural"), "give one of kind and plural"))
	}
	ref := contract.ResourceRef{
		APIVersion: schema.GroupVersion{Group: given.Group, Version: given.Version}.String(),
		Kind:       given.Kind, Plural: given.Plural, Namespace: given.Namespace, Name: given.Name,
	}
	return ref, append(problems, noSecret(ref, path)...)
}

// parseResourceRef reads what names an object.
func parseResourceRef(object map[string]any, path *field.Path) (contract.ResourceRef, field.ErrorList) {
	var problems field.ErrorList
	text := func(pattern form, required bool, must string, keys ...string) string {
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
		Namespace:  text(namespace, false, mustBeNamespace, "metadata", "namespace"),
	}
	return ref, problems
}

// maxExact is the magnitude below which JSONata keeps every whole number: its
// numbers are IEEE doubles. A request passes through JSONata before it is read
// here, so a larger number may have been rounded.
const maxExact = 1 << 53

// inexact returns the numbers in value that may have been rounded: by Step Functions,
// or, where the value is exact, because they have more than 64 bits.
func inexact(value any, exact bool, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	large := false
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			problems = append(problems, inexact(value[key], exact, path.Child(key))...)
		}
	case []any:
		for i, item := range value {
			problems = append(problems, inexact(item, exact, path.Index(i))...)
		}
	case int64:
		large = !exact && (value >= maxExact || value <= -maxExact)
	case float64:
		large = math.Abs(value) >= maxExact
	}
	if large {
		who := "Step Functions"
		if exact {
			who = "a cluster"
		}
		problems = append(problems, field.Invalid(path, field.OmitValueType{},
			"is a number of 2^53 or more, which "+who+" may round: give it as a string, or as a quantity such as 16Pi, where the kind allows"))
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
