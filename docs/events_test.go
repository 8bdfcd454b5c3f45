package docs_test

import (
	"cmp"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/statemachine"
)

// event is what a state of the definition sends. The detail is a JSONata object.
type event struct{ Source, DetailType, Detail string }

// events returns the events that the definition sends, and the variable $event with what
// all of them say.
func events(t *testing.T) (all []event, common string) {
	t.Helper()
	var definition struct {
		States map[string]struct {
			Resource  string
			Arguments json.RawMessage
			Choices   []struct{ Assign struct{ Event string } }
		}
	}
	if err := json.Unmarshal([]byte(statemachine.Definition), &definition); err != nil {
		t.Fatal(err)
	}
	for name, state := range definition.States {
		for _, choice := range state.Choices {
			common = cmp.Or(common, choice.Assign.Event)
		}
		if !strings.Contains(state.Resource, ":events:putEvents") {
			continue
		}
		var arguments struct{ Entries []event }
		if err := json.Unmarshal(state.Arguments, &arguments); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, arguments.Entries...)
	}
	return all, common
}

// keysOf returns the keys of the objects in a JSONata expression.
func keysOf(expression string) []string {
	var keys []string
	for _, match := range key.FindAllStringSubmatch(expression, -1) {
		keys = append(keys, match[1])
	}
	return keys
}

var (
	row  = regexp.MustCompile(`(?m)^\| ([^|]+) \|`)
	key  = regexp.MustCompile(`'(\w+)':`)
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
	sent, common := events(t)
	for _, e := range sent {
		if e.Source != deployment.EventSource || !strings.Contains(page, "source `"+e.Source+"`") {
			t.Errorf("%s has the source %q", e.DetailType, e.Source)
		}
		want := keysOf(e.Detail)
		if strings.Contains(e.Detail, "$event") {
			want = append(want, keysOf(common)...)
		}
		if slices.Contains(want, "phase") {
			want = append(want, fieldsOf(reflect.TypeFor[contract.EndedPhase](), "phase.")...)
		}
		var got []string
		for _, line := range row.FindAllStringSubmatch(sections[e.DetailType], -1) {
			for _, field := range code.FindAllStringSubmatch(line[1], -1) {
				got = append(got, field[1])
			}
		}
		slices.Sort(want)
		want = slices.Compact(want) // the end says its own total
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
