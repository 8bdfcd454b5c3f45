// Package jsonpath finds fields of an object by Kubernetes' JSONPath, relaxed as
// kubectl relaxes it for custom columns: "{.status.phase}", ".status.phase" and
// "status.phase" are the same.
// https://kubernetes.io/docs/reference/kubectl/jsonpath/
package jsonpath

import (
	"errors"
	"fmt"
	"regexp"

	"k8s.io/client-go/util/jsonpath"
)

// relaxed is what kubectl takes, and the path in it.
// https://github.com/kubernetes/kubectl/blob/v0.34.0/pkg/cmd/get/customcolumn.go
var relaxed = regexp.MustCompile(`^(?:\{\.?([^{}]+)\}|\.?([^{}]+))$`)

// Path is a JSONPath. It may not be used by several goroutines at once.
type Path struct{ parsed *jsonpath.JSONPath }

// Parse reads a path.
func Parse(text string) (Path, error) {
	parts := relaxed.FindStringSubmatch(text)
	if parts == nil {
		return Path{}, errors.New("must be one path, such as {.status.phase}")
	}
	parsed := jsonpath.New("path").AllowMissingKeys(true)
	if err := parsed.Parse("{." + parts[1] + parts[2] + "}"); err != nil {
		return Path{}, fmt.Errorf("is no JSONPath: %w", err)
	}
	return Path{parsed}, nil
}

// Find returns what the path leads to in an object: nothing where a field on the way
// is missing. An index beyond the end of a list is an error, as kubectl has it. The
// values are the object's own.
func (p Path) Find(object map[string]any) ([]any, error) {
	results, err := p.parsed.FindResults(object)
	if err != nil {
		return nil, fmt.Errorf("find what the JSONPath leads to: %w", err)
	}
	found := []any{}
	for _, result := range results {
		for _, value := range result {
			found = append(found, value.Interface())
		}
	}
	return found, nil
}
