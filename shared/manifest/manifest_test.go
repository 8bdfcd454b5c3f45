package manifest_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/crossapply/crossapply/shared/manifest"
)

const bundle = `{
	"resources": [
		{"kind": "Namespace", "metadata": {"name": "kafka"}},
		{"kind": "Topic", "metadata": {"name": "orders", "labels": {"a": "b"}}, "spec": {"partitions": 3, "retention": 9007199254740993, "brokers": [1, 2]}}],
	"overrides": [
		{"resource": 1, "patch": {"spec": {"partitions": 5, "brokers": [3]}}},
		{"resource": 1, "patch": {"spec": {"partitions": 7}, "metadata": {"labels": null}}},
		{"resource": 0, "patch": {"metadata": {"labels": {"tier": "1"}}}}]}`

func TestEffective(t *testing.T) {
	for _, test := range []struct {
		name      string
		resource  int
		overrides []int
		want      string
	}{
		{"none", 1, nil, `{"kind":"Topic","metadata":{"labels":{"a":"b"},"name":"orders"},"spec":{"brokers":[1,2],"partitions":3,"retention":9007199254740993}}`},
		{"one", 1, []int{0}, `{"kind":"Topic","metadata":{"labels":{"a":"b"},"name":"orders"},"spec":{"brokers":[3],"partitions":5,"retention":9007199254740993}}`},
		{"two, the later wins", 1, []int{0, 1}, `{"kind":"Topic","metadata":{"name":"orders"},"spec":{"brokers":[3],"partitions":7,"retention":9007199254740993}}`},
		{"one of another resource", 1, []int{2}, `{"kind":"Topic","metadata":{"labels":{"a":"b"},"name":"orders"},"spec":{"brokers":[1,2],"partitions":3,"retention":9007199254740993}}`},
		{"the other resource", 0, []int{0, 1, 2}, `{"kind":"Namespace","metadata":{"labels":{"tier":"1"},"name":"kafka"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := read(t)
			got, err := b.Effective(test.resource, test.overrides)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := json.Marshal(got); err != nil || string(text) != test.want {
				t.Errorf("got  %s (%v)\nwant %s", text, err, test.want)
			}
			// What is done with the object does not reach the bundle.
			wipe(map[string]any(got))
			if !reflect.DeepEqual(b, read(t)) {
				t.Errorf("the bundle has changed: %v", b)
			}
		})
	}
}

func TestNoSuchIndex(t *testing.T) {
	b := read(t)
	for _, test := range []struct {
		resource  int
		overrides []int
	}{{-1, nil}, {2, nil}, {0, []int{3}}, {0, []int{-1}}} {
		if got, err := b.Effective(test.resource, test.overrides); err == nil {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func read(t *testing.T) manifest.Bundle {
	t.Helper()
	var b manifest.Bundle
	if err := json.Unmarshal([]byte(bundle), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// wipe changes everything in a value, in place.
func wipe(value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range value {
			wipe(field)
			value[name] = nil
		}
	case []any:
		for i, item := range value {
			wipe(item)
			value[i] = nil
		}
	}
}
