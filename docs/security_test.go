package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`([a-z/]+): (\\w+)`")

// Every limit in docs/security.md names the tests that hold it, and each of them
// is there.
func TestSecurity(t *testing.T) {
	text := read(t, "security.md")
	tests := map[string]map[string]bool{}
	limits := 0
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "| held by |") {
			continue
		}
		limits++
		named := testName.FindAllStringSubmatch(line, -1)
		if named == nil {
			t.Errorf("security.md:%d names no test: %s", i+1, line)
		}
		for _, name := range named {
			folder, test := name[1], name[2]
			if tests[folder] == nil {
				tests[folder] = testsIn(t, folder)
			}
			if !tests[folder][test] {
				t.Errorf("security.md:%d: there is no %s in %s", i+1, test, folder)
			}
		}
	}
	if limits < 30 {
		t.Errorf("found %d limits only", limits)
	}
}
