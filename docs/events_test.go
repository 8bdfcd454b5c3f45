package docs_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/statemachine"
)

// event is what a state of the definition sends.
type event struct {
	Source, DetailType string
	Detail             map[string]any
}

// events returns the events that the definition sends.
func events(t *testing.T) []event {
	t.Helper()
	var definition struct {
		States map[string]struct {
			Resource  string
			Arguments json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(statemachine.Definition), &definition); err != nil {
		t.Fatal(err)
	}
	var all []event
	for name, state := range definition.States {
		if !strings.Contains(state.Resource, ":events:putEvents") {
			continue
		}
		var arguments struct{ Entries []event }
		if err := json.Unmarshal(state.Arguments, &arguments); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, arguments.Entries...)
	}
	return all
}

var (
	row  = regexp.MustCompile(`(?m)^\| ([^|]+) \|`)
	code = regexp.MustCompile("`([^`]+)`")
)

// docs/events.md has a section for each event that the definition sends, with exactly
// the fields that it has.
func TestEvents(t *testing.T) {
	page := read(t, "events.md")
	sections := map[string]string{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		sections[title] = text
	}
	sent := events(t)
	for _, e := range sent {
		if e.Source != deployment.EventSource || !strings.Contains(page, "source `"+e.Source+"`") {
			t.Errorf("%s has the source %q", e.DetailType, e.Source)
		}
		want := slices.Collect(maps.Keys(e.Detail))
		if _, phase := e.Detail["phase"]; phase {
			want = append(want, fieldsOf(reflect.TypeFor[contract.EndedPhase](), "phase.")...)
		}
		var got []string
		for _, line := range row.FindAllStringSubmatch(sections[e.DetailType], -1) {
			for _, field := range code.FindAllStringSubmatch(line[1], -1) {
				got = append(got, field[1])
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s\nhas    %q\nthe page says %q", e.DetailType, want, got)
		}
	}
	if len(sent) != len(sections) {
		t.Errorf("%d events are sent, and the page has %d", len(sent), len(sections))
	}
}

// fieldsOf returns the names of a struct's fields in JSON.
func fieldsOf(of reflect.Type, prefix string) []string {
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		if !field.Anonymous {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			names = append(names, prefix+name)
		}
	}
	return names
}
