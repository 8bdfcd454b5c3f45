package statemachine_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/statemachine"
)

// lint returns what the linters (from `npm ci`) say of definitions.
func lint(t *testing.T, files ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "node", append([]string{"lint.js"}, files...)...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(out) == 0 {
		t.Fatalf("lint.js: %v\n%s", err, exit.Stderr)
	} else if err != nil && exit == nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestLint(t *testing.T) {
	if said := lint(t, "rollout.asl.json", "../examples/parent-workflow.asl.json"); said != "" {
		t.Error(said)
	}
}

func TestLintFindsMistakes(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"a target that does not exist", `"Next": "Apply resource"`, `"Next": "Aply resource"`, `"Next" property must be the name of an existing state`},
		{"a target outside of the Map", `"Default": "Pause"`, `"Default": "Report"`, `"Default" property must be the name of an existing state`},
		{"an unknown field", `"Assign": { "window"`, `"Assigns": { "window"`, "Field is not supported"},
		{"an unknown field of a Retry", `"MaxAttempts": 12`, `"Attempts": 12`, "Field is not supported"},
		{"an unknown value", `"Transformation": "NONE"`, `"Transformation": "ALL"`, "Value is not accepted"},
		{"a state that nothing leads to", `"Next": "Rolled out before"`, `"Next": "Rolled out"`, "The state cannot be reached"},
		{"a field of JSONPath", `"Seconds": "{% $states.input.pauseSeconds %}"`, `"SecondsPath": "$.pauseSeconds"`, "SCHEMA_VALIDATION_FAILED"},
		{"an expression that is no JSONata", `$states.input.pauseSeconds`, `$states.input.`, "SCHEMA_VALIDATION_FAILED"},
		{"a name that the Map repeats", `"Rolled out"`, `"Pause"`, "DUPLICATE_STATE_NAMES"},
	}
	dir := t.TempDir()
	files := make([]string, len(tests))
	for i, test := range tests {
		files[i] = filepath.Join(dir, test.name)
		wrong := strings.ReplaceAll(statemachine.Definition, test.old, test.new)
		if err := os.WriteFile(files[i], []byte(wrong), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said := strings.Split(lint(t, files...), "\n")
	for i, test := range tests {
		if !slices.ContainsFunc(said, func(line string) bool {
			return strings.HasPrefix(line, files[i]+":") && strings.Contains(line, test.want)
		}) {
			t.Errorf("%s: %q is not among %q", test.name, test.want, said)
		}
	}
}
