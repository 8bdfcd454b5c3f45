package readiness

import (
	"strings"
	"testing"
	"time"
)

func TestScript(t *testing.T) {
	object := map[string]any{"kind": "Widget", "spec": map[string]any{"replicas": int64(2), "ratio": 0.5, "on": true, "none": nil, "list": []any{"a", "b"}}}
	for _, test := range []struct {
		name, source             string
		status, message, failure string
	}{
		{name: "a table", source: `return {status = "Healthy", message = obj.kind}`, status: "Healthy", message: "Widget"},
		{name: "nothing", source: ``},
		{name: "an empty table", source: `return {}`},
		{name: "no table", source: `return "Healthy"`, failure: "the script returns a string, not a table"},
		{name: "the object's values", source: `if obj.spec.replicas == 2 and obj.spec.ratio == 0.5 and obj.spec.on and obj.spec.none == nil and #obj.spec.list == 2 then return {status = obj.spec.list[2]} end`, status: "b"},
		{name: "an error of its own", source: `error("odd")`, failure: "health.lua:1: odd"},
		{name: "a field of nothing", source: `return obj.status.phase`, failure: "attempt to index a non-table object(nil) with key 'phase'"},
		{name: "no end", source: `while true do end`, failure: "the script has not ended after 50ms"},
		{name: "no end, caught", source: `while true do pcall(function() while true do end end) end`, failure: "the script has not ended after 50ms"},
		{name: "no bottom", source: `local function f() return 1 + f() end f()`, failure: "stack overflow"},
		{name: "libraries", source: `return {status = string.format("%d", math.floor(1.5)) .. table.concat({"a"}) .. os.time{year = 2026, month = 1, day = 2, hour = 3} % 1}`, status: "1a0"},
		{name: "nothing of the machine", source: `
			if io or package or debug or require or module or dofile or loadfile or load or loadstring or print or collectgarbage or _G or getfenv or newproxy or channel then return {status = "found"} end
			if os.execute or os.exit or os.getenv or os.remove or os.tmpname then return {status = "found"} end
			return {status = "none"}`, status: "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			script, err := compileScript(test.source)
			if err != nil {
				t.Fatal(err)
			}
			script.limit = 50 * time.Millisecond
			status, message, err := script.run(object)
			if test.failure != "" {
				if err == nil || !strings.Contains(err.Error(), test.failure) || strings.Contains(err.Error(), "traceback") {
					t.Errorf("got %q, %q, %v, want %s", status, message, err, test.failure)
				}
				return
			}
			if err != nil || status != test.status || message != test.message {
				t.Errorf("got %q, %q, %v, want %q, %q", status, message, err, test.status, test.message)
			}
		})
	}
}

// A run leaves nothing behind for the next one.
func TestScriptRunsAreApart(t *testing.T) {
	script, err := compileScript(`count = (count or 0) + 1; string.count = (string.count or 0) + 1; return {status = count .. string.count}`)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if status, _, err := script.run(nil); err != nil || status != "11" {
			t.Errorf("got %q, %v", status, err)
		}
	}
}

func TestScriptThatDoesNotCompile(t *testing.T) {
	if _, err := compileScript(`return {`); err == nil {
		t.Error("compiled")
	}
}
