package main

import (
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/shared/contract"
)

// Every example of a request must be one that plan takes.
func TestExamples(t *testing.T) {
	files, err := fs.Glob(examples.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, name := range files {
		if strings.HasSuffix(name, ".asl.json") {
			continue // a definition, not a request
		}
		count++
		body, err := examples.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := plan1(t, string(body)); err != nil {
			t.Errorf("examples/%s: %v", name, err)
		}
	}
	if count == 0 {
		t.Error("there are no examples")
	}
}

// Every field of the request must be in the request reference.
func TestRequestReference(t *testing.T) {
	page, err := os.ReadFile("../../docs/request.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range fieldPaths(reflect.TypeFor[contract.Request](), "") {
		if !strings.Contains(string(page), "`"+path+"`") {
			t.Errorf("docs/request.md lacks `%s`", path)
		}
	}
}

// fieldPaths returns the paths of all fields, such as rollout.maxFailures and
// targets[].account.
func fieldPaths(typ reflect.Type, prefix string) []string {
	var paths []string
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		path := prefix + name
		paths = append(paths, path)
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			if inner.Kind() == reflect.Slice {
				path += "[]"
			}
			inner = inner.Elem()
		}
		// A match names a target: its fields are those of targets[].
		if inner.Kind() == reflect.Struct && name != "match" {
			paths = append(paths, fieldPaths(inner, path+".")...)
		}
	}
	return paths
}
