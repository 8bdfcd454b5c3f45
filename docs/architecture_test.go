package docs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/statemachine"
)

// The diagrams of docs/architecture.md have every state of the definition.
func TestDiagram(t *testing.T) {
	diagrams := strings.Join(fenced.FindAllString(read(t, "architecture.md"), -1), "\n")
	type machine struct {
		States map[string]struct {
			ItemProcessor json.RawMessage
		}
	}
	count := 0
	var look func(definition []byte)
	look = func(definition []byte) {
		var m machine
		if err := json.Unmarshal(definition, &m); err != nil {
			t.Fatal(err)
		}
		for name, state := range m.States {
			count++
			if !strings.Contains(diagrams, name) {
				t.Errorf("no diagram has the state %q", name)
			}
			if state.ItemProcessor != nil {
				look(state.ItemProcessor)
			}
		}
	}
	look([]byte(statemachine.Definition))
	if count < 20 {
		t.Errorf("found %d states only", count)
	}
}
