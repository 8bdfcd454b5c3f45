package cluster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// translation gives the namespaces of a virtual cluster their names on the API
// server: a prefix of its own before each. So a request has a prefix put in at the
// places where Kubernetes reads a namespace, and an answer has every occurrence of
// the prefix taken out, in messages too.
type translation struct{ prefix string }

// translationOf is that of the virtual cluster with this number.
func translationOf(i int) translation {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	return translation{"vcn" + string([]byte{digits[i/1296%36], digits[i/36%36], digits[i%36]}) + "-x-"}
}

const (
	maxNamespace  = 63 // of a DNS label
	namespaceName = "kubernetes.io/metadata.name"
)

// served is the name that the API server knows a namespace by.
func (t translation) served(namespace string) string { return t.prefix + namespace }

// original is the reverse of served. It leaves the names of others as they are.
func (t translation) original(name string) string { return strings.ReplaceAll(name, t.prefix, "") }

// requestInfo is what a request path is about.
type requestInfo struct {
	segments  []string
	base      int    // index in segments of what follows /api/<version> or /apis/<group>/<version>
	namespace string // empty where the path names none
}

// parsePath reads a path. False means that it is not one of objects: discovery,
// /version, /healthz and so on.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
func parsePath(path string) (requestInfo, bool) {
	t := requestInfo{segments: strings.Split(strings.Trim(path, "/"), "/")}
	switch t.segments[0] {
	case "api":
		t.base = 2
	case "apis":
		t.base = 3
	default:
		return t, false
	}
	if len(t.segments) > t.base && t.segments[t.base] == "watch" {
		t.base++
	}
	if len(t.segments) <= t.base {
		return t, false
	}
	if t.segments[t.base] == "namespaces" && len(t.segments) > t.base+1 {
		t.namespace = t.segments[t.base+1]
	}
	return t, true
}

// ofNamespaces says whether the objects are namespaces.
func (t requestInfo) ofNamespaces() bool {
	return t.segments[t.base] == "namespaces" && t.segments[0] == "api" &&
		(len(t.segments) <= t.base+2 || t.segments[t.base+2] == "finalize" || t.segments[t.base+2] == "status")
}

// collection says whether answers hold objects of all namespaces.
func (t requestInfo) collection() bool { return len(t.segments) == t.base+1 }

// path is the request's path with the namespace's served name.
func (t requestInfo) path(names translation) string {
	if t.namespace != "" {
		t.segments[t.base+1] = names.served(t.namespace)
	}
	return "/" + strings.Join(t.segments, "/")
}

// query translates the namespaces that a field selector names.
func (t requestInfo) query(query url.Values, names translation) error {
	text := query.Get("fieldSelector")
	if text == "" {
		return nil
	}
	selector, err := fields.ParseSelector(text)
	if err != nil {
		return nil //nolint:nilerr // the API server says it better
	}
	selector, err = selector.Transform(func(field, value string) (string, string, error) {
		if field == "metadata.namespace" || field == "metadata.name" && t.ofNamespaces() {
			value = names.served(value)
		}
		return field, value, nil
	})
	if err != nil {
		return fmt.Errorf("translate the field selector: %w", err)
	}
	query.Set("fieldSelector", selector.String())
	return nil
}

// body translates the object that a request carries. A JSON patch is left as it is.
func (t requestInfo) body(body []byte, contentType string, names translation) ([]byte, error) {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return body, nil //nolint:nilerr // the API server says it better
	}
	switch {
	case strings.HasSuffix(mediaType, "yaml"):
		if body, err = yaml.YAMLToJSON(body); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	case strings.HasSuffix(mediaType, "protobuf") || strings.HasSuffix(mediaType, "cbor"):
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "", schema.GroupResource{}, "",
			"virtual clusters take JSON and YAML, not "+mediaType, 0, true)
	}
	object := object{}
	if json.Unmarshal(body, &object) != nil {
		return body, nil //nolint:nilerr // an array, or no JSON: the API server says it better
	}
	if t.ofNamespaces() {
		object.prefix(names, "metadata", "name")
		object.prefix(names, "metadata", "generateName")
		object.prefix(names, "metadata", "labels", namespaceName)
	} else {
		object.prefix(names, "metadata", "namespace")
	}
	if t.segments[0] == "apis" && t.segments[1] == "authorization.k8s.io" {
		object.prefix(names, "spec", "resourceAttributes", "namespace")
		object.prefix(names, "spec", "namespace")
	}
	return must(json.Marshal(object)), nil
}

// object is a JSON object of which only the members that are changed are taken apart.
type object map[string]json.RawMessage

// must is for the encoding of what was just decoded, which cannot fail.
func must(raw []byte, _ error) json.RawMessage { return raw }

// prefix puts the prefix before the string at a path, if there is one.
func (o object) prefix(names translation, path ...string) {
	if len(path) > 1 {
		inner := object{}
		if json.Unmarshal(o[path[0]], &inner) == nil && len(inner) > 0 {
			inner.prefix(names, path[1:]...)
			o[path[0]] = must(json.Marshal(inner))
		}
		return
	}
	var value string
	if json.Unmarshal(o[path[0]], &value) == nil && value != "" {
		o[path[0]] = must(json.Marshal(names.served(value)))
	}
}

// tooLong is the namespace, if any, whose served name no namespace can have.
func (t requestInfo) tooLong(names translation) bool {
	return len(names.served(t.namespace)) > maxNamespace
}

// answer translates one document of an answer, the whole or an event of a watch.
// It returns nil for an event about other clusters' objects only.
func (t requestInfo) answer(document []byte, names translation) (_ []byte, err error) {
	if t.collection() {
		if document, err = t.own(document, names); err != nil {
			return nil, err
		}
	}
	return bytes.ReplaceAll(document, []byte(names.prefix), nil), nil
}

// own leaves out what belongs to other clusters: items of a list, rows of a table,
// and events.
func (t requestInfo) own(document []byte, names translation) ([]byte, error) {
	var whole object
	if err := json.Unmarshal(document, &whole); err != nil {
		return nil, fmt.Errorf("read the API server's answer: %w", err)
	}
	event, isEvent := whole["object"]
	switch {
	case isEvent && !t.owns(event, names):
		return nil, nil
	case isEvent:
		var table object
		if json.Unmarshal(event, &table) != nil || table["rows"] == nil {
			return document, nil //nolint:nilerr // no table: there are no rows to leave out
		}
		if t.filter(table, "rows", names) == 0 {
			return nil, nil
		}
		whole["object"] = must(json.Marshal(table))
	default:
		t.filter(whole, "items", names)
		t.filter(whole, "rows", names)
	}
	return append(must(json.Marshal(whole)), '\n'), nil
}

// filter keeps the cluster's own in a list and says how many they are.
func (t requestInfo) filter(whole object, list string, names translation) int {
	var items []json.RawMessage
	if json.Unmarshal(whole[list], &items) != nil || items == nil {
		return 0
	}
	items = slices.DeleteFunc(items, func(item json.RawMessage) bool {
		var row struct{ Object json.RawMessage }
		if list == "rows" && json.Unmarshal(item, &row) == nil {
			item = row.Object
		}
		return !t.owns(item, names)
	})
	whole[list] = must(json.Marshal(items))
	return len(items)
}

// owns says whether an object is the cluster's, or one that all share.
func (t requestInfo) owns(raw json.RawMessage, names translation) bool {
	var head struct {
		Metadata struct{ Namespace, Name string }
	}
	if json.Unmarshal(raw, &head) != nil {
		return true
	}
	about := head.Metadata.Namespace
	if t.ofNamespaces() {
		about = head.Metadata.Name
	}
	return about == "" || strings.HasPrefix(about, names.prefix)
}
