package jsonpath_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/jsonpath"
)

func TestFind(t *testing.T) {
	var object map[string]any
	const text = `{"metadata": {"annotations": {"a.b/c": "x"}}, "spec": {"replicas": 3, "none": null},
		"status": {"conditions": [{"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}], "list": [1, 2]}}`
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		`{.spec.replicas}`: `[3]`,
		`{spec.replicas}`:  `[3]`,
		`.spec.replicas`:   `[3]`,
		`spec.replicas`:    `[3]`,
		`{.status.conditions[?(@.type=='Ready')].status}`: `["True"]`,
		`{.status.conditions[*].type}`:                    `["Synced","Ready"]`,
		`{.status.list}`:                                  `[[1,2]]`,
		`{.metadata.annotations.a\.b/c}`:                  `["x"]`,
		`{.metadata.annotations['a\.b/c']}`:               `["x"]`,
		`{.status.phase}`:                                 `[]`,
		`{.spec.none}`:                                    `[null]`,
		`{.spec.none.more}`:                               `[]`,
		`{.status.list[-1:]}`:                             `[2]`,
		`{.status.conditions[?(@.type=='Never')].status}`: `[]`,
		`{..status}`:                                      `[{"conditions":[{"status":"False","type":"Synced"},{"status":"True","type":"Ready"}],"list":[1,2]},"False","True"]`,
	} {
		parsed, err := jsonpath.Parse(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		found, err := parsed.Find(object)
		got, _ := json.Marshal(found)
		if err != nil || string(got) != want {
			t.Errorf("%s finds %s (%v), want %s", path, got, err, want)
		}
	}
}

func TestNoPath(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "must be one path",
		"{}":                     "must be one path",
		"{.a}{.b}":               "must be one path",
		"{range .a[*]}{.b}{end}": "must be one path",
		"{.a[}":                  "unterminated array",
		"{.a[?(@.b==]}":          "unterminated filter",
		"{.a[?(@.b=='}')]}":      "must be one path",
	} {
		if _, err := jsonpath.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("{.a[?(@.b=='x')].c}", `{"a": [{"b": "x", "c": null}]}`)
	f.Add("..*", `{"a": [{"b": 1}], "n": null}`)
	f.Fuzz(func(t *testing.T, text, of string) {
		var object map[string]any
		if json.Unmarshal([]byte(of), &object) != nil {
			return
		}
		path, err := jsonpath.Parse(text)
		if err != nil {
			return
		}
		if found, err := path.Find(object); err == nil {
			if _, err := json.Marshal(found); err != nil {
				t.Errorf("what was found cannot be written: %v", err)
			}
		}
	})
}
