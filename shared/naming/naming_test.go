package naming_test

import (
	"regexp"
	"testing"

	"github.com/crossapply/crossapply/shared/naming"
)

func TestFit(t *testing.T) {
	refused := regexp.MustCompile(`[^a-z-]`)
	tests := []struct{ name, want string }{
		{"abc", "abc"},
		{"a", "a-ca978112"},               // too short
		{"a_c", "a-c-68421187"},           // refused
		{"abcdefghijklm", "abc-ff10304f"}, // too long
	}
	seen := map[string]bool{}
	for _, test := range tests {
		got := naming.Fit(test.name, refused, 2, 12)
		if len(got) > 12 || seen[got] {
			t.Errorf("%s became %s", test.name, got)
		}
		seen[got] = true
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
