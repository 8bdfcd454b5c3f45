package scenarios

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// fits returns why got does not hold what want does: see the package's documentation.
func fits(got, want any) error { return fit("", got, want) }

func fit(at string, got, want any) error {
	switch want := want.(type) {
	case map[string]any:
		got, ok := got.(map[string]any)
		if !ok {
			return differs(at, got, want)
		}
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if err := fit(at+"."+name, got[name], want[name]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		got, ok := got.([]any)
		if !ok || len(got) != len(want) {
			return differs(at, got, want)
		}
		for i := range want {
			if err := fit(fmt.Sprintf("%s[%d]", at, i), got[i], want[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		if pattern, ok := strings.CutPrefix(want, "~"); ok {
			text, _ := got.(string)
			if matched, err := regexp.MatchString(pattern, text); err != nil || !matched {
				return differs(at, got, want)
			}
			return nil
		}
	}
	if fmt.Sprintf("%T %v", got, got) != fmt.Sprintf("%T %v", want, want) {
		return differs(at, got, want)
	}
	return nil
}

func differs(at string, got, want any) error {
	return fmt.Errorf("%s is %s, want %s", strings.TrimPrefix(at, "."), text(got), text(want))
}

// text shows a value in a message.
func text(value any) string {
	body, err := yaml.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	if shown := strings.TrimSpace(string(body)); !strings.Contains(shown, "\n") {
		return shown
	}
	return "\n" + string(body)
}

func TestFits(t *testing.T) {
	for _, tc := range []struct {
		got, want string
		fits      bool
	}{
		{`{a: 1, b: 2}`, `{a: 1}`, true},
		{`{a: 1}`, `{a: 2}`, false},
		{`{a: 1}`, `{a: "1"}`, false},
		{`{a: 1}`, `{b: null}`, true},
		{`{a: 1}`, `{a: null}`, false},
		{`{a: {b: [x, y]}}`, `{a: {b: [x, y]}}`, true},
		{`{a: {b: [x, y]}}`, `{a: {b: [x]}}`, false},
		{`{a: the end}`, `{a: "~end$"}`, true},
		{`{a: the end}`, `{a: "~^end"}`, false},
		{`{}`, `{a: "~^end"}`, false},
		{`[]`, `{a: 1}`, false},
		{`{a: true}`, `{a: true}`, true},
	} {
		var got, want any
		if err := yaml.Unmarshal([]byte(tc.got), &got); err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal([]byte(tc.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := fits(got, want); (err == nil) != tc.fits {
			t.Errorf("%s, %s: %v", tc.got, tc.want, err)
		}
	}
}
