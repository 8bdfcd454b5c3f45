package similar_test

import (
	"slices"
	"testing"

	"github.com/crossapply/crossapply/shared/similar"
)

func TestTo(t *testing.T) {
	names := []string{"canary", "eu", "us", "ap", "sa", "Rest"}
	for name, want := range map[string][]string{
		"canarry": {"canary"},
		"caanry":  {"canary"},
		"rest":    {"Rest"},
		"e":       {"eu"},
		"xx":      {"eu", "us", "ap"}, // the first three of four
		"kitten":  nil,
		"":        {"eu", "us", "ap"},
	} {
		if got := similar.To(name, names); !slices.Equal(got, want) {
			t.Errorf("to %q: %q, want %q", name, got, want)
		}
	}
}
