package jsonata_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossapply/crossapply/local/asl/jsonata"
)

func engine(t *testing.T, opts jsonata.Options) *jsonata.Engine {
	t.Helper()
	file, err := jsonata.Locate(".")
	if err != nil {
		t.Fatal(err)
	}
	e, err := jsonata.New(file, opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEval(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.UTC)
	e := engine(t, jsonata.Options{Now: func() time.Time { return now }, Rand: rand.NewPCG(1, 2)})
	variables := map[string]json.RawMessage{
		"states": json.RawMessage(`{"input":{"z":1,"a":[],"one":[7],"n":null,"s":"\u20ac<&"}}`),
		"count":  json.RawMessage(`3`),
	}
	for _, tc := range []struct{ src, want, code string }{
		{src: `$states.input.a`, want: `[]`},
		{src: `$states.input.one`, want: `[7]`},
		{src: `$states.input.one[0]`, want: `7`},
		{src: `$states.input.n`, want: `null`},
		{src: `$states.input.s`, want: `"€<&"`},
		{src: `$states.input.missing`, want: `undefined`},
		{src: `{"b": 1, "a": $states.input.missing, "c": $count + 1}`, want: `{"b":1,"c":4}`},
		{src: `$merge([$states.input, {"y": 2.5}])`, want: `{"z":1,"a":[],"one":[7],"n":null,"s":"€<&","y":2.5}`},
		{src: `$count([1,2])`, code: "T1006"}, // the variable hides the function
		{src: `$eval("1")`, code: "T1006"},
		{src: `1 + "a"`, code: "T2002"},
		{src: `function($x){$x}`, code: "FUNCTION"},
		{src: `{"f": $sum}`, code: "FUNCTION"},
		{src: `$states.input.a ?: 1`, code: "S0211"},
		{src: `$parse('{"a":[1,{"b":null}]}')`, want: `{"a":[1,{"b":null}]}`},
		{src: `$parse('{')`, code: "D3200"},
		{src: `$partition([1,2,3,4,5], 2)`, want: `[[1,2],[3,4],[5]]`},
		{src: `$range(0, 10, 5)`, want: `[0,5,10]`},
		{src: `$range(3, 1, -1)`, want: `[3,2,1]`},
		{src: `$hash("abc", "SHA-1")`, want: `"a9993e364706816aba3e25717850c26c9cd0d89d"`},
		{src: `$hash("abc", "CRC")`, code: "D3203"},
		{src: `$random(7) = $random(7)`, want: `true`},
		{src: `$match($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/).index`, want: `0`},
		{src: `$now()`, want: `"2026-03-04T05:06:07.089Z"`},
		{src: `$contains("hello$world", /^hello\$/)`, want: `true`},
		{src: `$sort([3,1,2])`, want: `[1,2,3]`},
		{src: `($f := function($n){ $n < 2 ? 1 : $n * $f($n - 1) }; $f(10))`, want: `3628800`},
		{src: `9007199254740991`, want: `9007199254740991`},
	} {
		t.Run(tc.src, func(t *testing.T) {
			s := e.Session(variables)
			defer s.Close()
			got, err := s.Eval(t.Context(), tc.src)
			var failed *jsonata.EvalError
			switch {
			case tc.code != "":
				if !errors.As(err, &failed) || failed.Code != tc.code {
					t.Fatalf("got %s, %v; want code %s", got, err, tc.code)
				}
			case tc.want == "undefined":
				if !errors.Is(err, jsonata.ErrUndefined) {
					t.Fatalf("got %s, %v; want undefined", got, err)
				}
			case err != nil || string(got) != tc.want:
				t.Fatalf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	e := engine(t, jsonata.Options{})
	if err := e.Check(`$states.input`); err != nil {
		t.Error(err)
	}
	if err := e.Check(`$states.input.(`); err == nil {
		t.Error("no error for an unfinished expression")
	}
}

func TestRunawayExpressionIsStopped(t *testing.T) {
	const forever = `($f := function($n){ $f($n + 1) }; $f(0))`
	e := engine(t, jsonata.Options{Limit: 50 * time.Millisecond, Runtimes: 1})
	s := e.Session(nil)
	defer s.Close()
	var failed *jsonata.EvalError
	if _, err := s.Eval(t.Context(), forever); !errors.As(err, &failed) || failed.Code != "TIMEOUT" {
		t.Errorf("limit: got %v", err)
	}
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := s.Eval(ctx, forever); !errors.Is(err, stopped) {
		t.Errorf("context: got %v", err)
	}
	if got, err := s.Eval(t.Context(), `1+1`); err != nil || string(got) != "2" {
		t.Errorf("afterwards: got %s, %v", got, err)
	}
}

func TestConcurrentSessions(t *testing.T) {
	e := engine(t, jsonata.Options{Runtimes: 2})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			s := e.Session(map[string]json.RawMessage{"x": json.RawMessage(`20`)})
			defer s.Close()
			if got, err := s.Eval(t.Context(), `$x * 2 + 2`); err != nil || string(got) != "42" {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestLocateSaysWhatToDo(t *testing.T) {
	if _, err := jsonata.Locate(t.TempDir()); err == nil || !strings.Contains(err.Error(), "npm ci") {
		t.Errorf("got %v", err)
	}
}
