package readiness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// evaluationLimit is how long one script or one expression may take. They take a
// millisecond; Argo CD allows its scripts as much as this.
const evaluationLimit = time.Second

// script is a compiled health check in Lua. It may be run by several goroutines.
type script struct {
	code  *lua.FunctionProto
	limit time.Duration
}

func compileScript(source string) (*script, error) {
	const name = "health.lua"
	chunk, err := parse.Parse(strings.NewReader(source), name)
	if err != nil {
		return nil, err
	}
	code, err := lua.Compile(chunk, name)
	if err != nil {
		return nil, err
	}
	return &script{code: code, limit: evaluationLimit}, nil
}

// run runs the script with the object as its global variable obj, and returns the
// fields status and message of the table that it returns. Both are empty where it
// returns nothing. Each run has a state of its own, so that it finds nothing of
// an earlier one: scripts are free with global variables.
func (s *script) run(object map[string]any) (status, message string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.limit)
	defer cancel()
	state := newSandbox()
	defer state.Close()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object))
	state.Push(state.NewFunctionFromProto(s.code))
	if err := state.PCall(0, 1, nil); err != nil {
		if ctx.Err() != nil {
			return "", "", fmt.Errorf("the script has not ended after %s", s.limit)
		}
		return "", "", withoutStack(err)
	}
	switch result := state.Get(-1).(type) {
	case *lua.LNilType:
		return "", "", nil
	case *lua.LTable:
		return lua.LVAsString(result.RawGetString("status")), lua.LVAsString(result.RawGetString("message")), nil
	default:
		return "", "", fmt.Errorf("the script returns a %s, not a table", result.Type())
	}
}

// libraries are the libraries that scripts may use, and globals all the global
// names: none of them reaches beyond the script. What else the base library has
// (dofile, loadfile, require, print, ...) is taken away.
var (
	libraries = []struct {
		name string
		open lua.LGFunction
	}{{lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}, {lua.StringLibName, lua.OpenString},
		{lua.MathLibName, lua.OpenMath}, {lua.OsLibName, openTime}}
	globals = []string{"assert", "error", "ipairs", "next", "pairs", "pcall", "select", "tonumber", "tostring", "type", "unpack",
		lua.TabLibName, lua.StringLibName, lua.MathLibName, lua.OsLibName}
)

func newSandbox() *lua.LState {
	state := lua.NewState(lua.Options{SkipOpenLibs: true, MinimizeStackMemory: true})
	for _, library := range libraries {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	var taken []lua.LValue
	state.G.Global.ForEach(func(name, _ lua.LValue) {
		if !slices.Contains(globals, name.String()) {
			taken = append(taken, name)
		}
	})
	for _, name := range taken {
		state.G.Global.RawSet(name, lua.LNil)
	}
	return state
}

// openTime opens a library os that has nothing but time, by which a check reads
// dates.
func openTime(state *lua.LState) int {
	lua.OpenOs(state)
	whole := state.CheckTable(-1)
	only := state.NewTable()
	only.RawSetString("time", whole.RawGetString("time"))
	state.SetGlobal(lua.OsLibName, only)
	return 0
}

// toLua makes a Lua value of a JSON value. Numbers are floating-point in Lua.
func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case string:
		return lua.LString(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	}
	return lua.LNil
}

// withoutStack leaves out the Lua stack, which says no more than the line that the
// message begins with.
func withoutStack(err error) error {
	var failure *lua.ApiError
	if errors.As(err, &failure) {
		failure.StackTrace = ""
	}
	return err
}
