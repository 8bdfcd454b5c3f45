package jsonata_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
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
	e := engine(t, jsonata.Options{Now: func() time.Time { return now }, Rand: rand.NewChaCha8([32]byte{1})})
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
		{src: `$hash("abc")`, code: "T0410"},
		{src: `$hash($states.input.missing, "MD5")`, want: `undefined`},
		{src: `$random(7) = $random(7)`, want: `true`},
		{src: `$random(7) = $random(7.9)`, want: `true`},
		{src: `$random(7) = $random(8)`, want: `false`},
		{src: `$random(1e18) = $random(2e18)`, want: `false`},
		{src: `$range(0.5, 4.9, 2.5)`, want: `[0,2,4]`},
		{src: `$random(0) = $random(-0)`, want: `true`},
		{src: `$base64encode("hello:\u00e9")`, want: `"aGVsbG866Q=="`},
		{src: `$base64decode("aGVsbG866Q==")`, want: `"hello:é"`},
		{src: `$base64decode("-_ 8!")`, want: `"ûÿ"`},
		{src: `1 / 0`, code: "D1001"},
		{src: `{"a": [1, 0 / 0]}`, code: "D1001"},
		{src: `$match($uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/).index`, want: `0`},
		{src: `$now()`, want: `"2026-03-04T05:06:07.089Z"`},
		{src: `$contains("hello$world", /^hello\$/)`, want: `true`},
		{src: `$sort([3,1,2])`, want: `[1,2,3]`},
		{src: `($f := function($n){ $n < 2 ? 1 : $n * $f($n - 1) }; $f(10))`, want: `3628800`},
		{src: `9007199254740991`, want: `9007199254740991`},
	} {
		t.Run(tc.src, func(t *testing.T) {
			s := e.Session(variables, nil)
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

// TestEveryFunction calls each function of the language once: each must find
// what it needs of its JavaScript world.
func TestEveryFunction(t *testing.T) {
	e := engine(t, jsonata.Options{})
	for _, tc := range []struct{ src, want string }{
		{`$abs(-5)`, `5`},
		{`$append([1], [2])`, `[1,2]`},
		{`$assert(true, "no")`, `undefined`},
		{`$average([1, 3])`, `2`},
		{`$base64decode("bXlzdHJpbmc=")`, `"mystring"`},
		{`$base64encode("mystring")`, `"bXlzdHJpbmc="`},
		{`$boolean("x")`, `true`},
		{`$ceil(1.2)`, `2`},
		{`$clone({"a": 1})`, `{"a":1}`},
		{`$contains("abc", "b")`, `true`},
		{`$count([1, 2])`, `2`},
		{`$decodeUrl("%E3%81%82")`, `"あ"`},
		{`$decodeUrlComponent("%3Fx%3D")`, `"?x="`},
		{`$distinct([1, 1, 2])`, `[1,2]`},
		{`$each({"a": 1, "b": 2}, function($v, $k) { $k & $v })`, `["a1","b2"]`},
		{`$encodeUrl("あ")`, `"%E3%81%82"`},
		{`$encodeUrlComponent("?x=")`, `"%3Fx%3D"`},
		{`$exists(1)`, `true`},
		{`$filter([1, 2, 3], function($v) { $v > 1 })`, `[2,3]`},
		{`$floor(1.8)`, `1`},
		{`$formatBase(100, 2)`, `"1100100"`},
		{`$formatInteger(2789, "w")`, `"two thousand, seven hundred and eighty-nine"`},
		{`$formatNumber(12345.6, "#,###.00")`, `"12,345.60"`},
		{`$fromMillis(1510067557121)`, `"2017-11-07T15:12:37.121Z"`},
		{`$fromMillis(1510067557121, "[D1o] [MNn] [Y]")`, `"7th November 2017"`},
		{`$join(["a", "b"], "-")`, `"a-b"`},
		{`$keys({"a": 1, "b": 2})`, `["a","b"]`},
		{`$length("añ")`, `2`},
		{`$lookup({"a": 1}, "a")`, `1`},
		{`$lowercase("ÀB")`, `"àb"`},
		{`$map([1, 2], function($v) { $v * 2 })`, `[2,4]`},
		{`$match("ab12", /[0-9]+/).match`, `"12"`},
		{`$max([1, 3, 2])`, `3`},
		{`$merge([{"a": 1}, {"b": 2}])`, `{"a":1,"b":2}`},
		{`$millis() > 0`, `true`},
		{`$min([2, 1])`, `1`},
		{`$not(true)`, `false`},
		{`$length($now())`, `24`},
		{`$number("0x1F")`, `31`},
		{`$pad("a", -3, "#")`, `"##a"`},
		{`$parseInteger("twelve", "w")`, `12`},
		{`$power(2, 10)`, `1024`},
		{`$random() < 1`, `true`},
		{`$reduce([1, 2, 3], function($i, $j) { $i + $j })`, `6`},
		{`$replace("abab", /b/, "c")`, `"acac"`},
		{`$reverse([1, 2])`, `[2,1]`},
		{`$round(2.5)`, `2`},
		{`$count($shuffle([1, 2, 3]))`, `3`},
		{`$sift({"a": 1, "b": 2}, function($v) { $v > 1 })`, `{"b":2}`},
		{`$single([1, 2], function($v) { $v = 2 })`, `2`},
		{`$sort(["b", "a"])`, `["a","b"]`},
		{`$split("a, b", ", ")`, `["a","b"]`},
		{`$spread({"a": 1, "b": 2})`, `[{"a":1},{"b":2}]`},
		{`$sqrt(9)`, `3`},
		{`$string({"a": 1})`, `"{\"a\":1}"`},
		{`$substring("hello", 1, 2)`, `"el"`},
		{`$substringAfter("a=b", "=")`, `"b"`},
		{`$substringBefore("a=b", "=")`, `"a"`},
		{`$sum([1, 2])`, `3`},
		{`$toMillis("2017-11-07T15:12:37.121Z")`, `1510067557121`},
		{`$toMillis("7/11/2017", "[D]/[M]/[Y]")`, `1510012800000`},
		{`$trim("  a   b ")`, `"a b"`},
		{`$type([])`, `"array"`},
		{`$uppercase("à")`, `"À"`},
		{`$zip([1, 2], ["a", "b"])`, `[[1,"a"],[2,"b"]]`},
	} {
		s := e.Session(nil, nil)
		got, err := s.Eval(t.Context(), tc.src)
		s.Close()
		if errors.Is(err, jsonata.ErrUndefined) {
			got, err = json.RawMessage("undefined"), nil
		}
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: got %s, %v; want %s", tc.src, got, err, tc.want)
		}
	}
	s := e.Session(nil, nil)
	defer s.Close()
	var failed *jsonata.EvalError
	if _, err := s.Eval(t.Context(), `$error("gone")`); !errors.As(err, &failed) || failed.Code != "D3137" || failed.Message != "gone" {
		t.Errorf("$error: %v", err)
	}
}

func TestCheck(t *testing.T) {
	e := engine(t, jsonata.Options{})
	for _, tc := range []struct {
		src   string
		reads []string
	}{
		{`$states.input`, []string{"input"}},
		{`1 + 1`, nil},
		{`$states`, nil},
		{`$other.result`, nil},
		{`"$states.result"`, nil},
		{`$states.input.result`, []string{"input"}},
		{`$map($states.input.a, function($x) { $x + $states.result.b[c = $states.errorOutput] })`, []string{"input", "result", "errorOutput"}},
		{"{'a': [$states.`result`]} ~> $string", []string{"result"}},
		{`$exists($states."result") ? 1 : ($x := $states.context; $x)`, []string{"result", "context"}},
	} {
		got, err := e.Check(tc.src)
		if err != nil || !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(tc.reads))) {
			t.Errorf("%s: reads %q, %v; want %q", tc.src, got, err, tc.reads)
		}
	}
	if _, err := e.Check(`$states.input.(`); err == nil {
		t.Error("no error for an unfinished expression")
	}
}

// $states, whose members are parsed late, is to expressions what plain JSON is.
func TestStatesIsLikeJSON(t *testing.T) {
	e := engine(t, jsonata.Options{})
	states := jsonata.Object{
		{Name: "input", Value: json.RawMessage(`{"a": [1, {"b": null}], "c": "x"}`)},
		{Name: "context", Value: jsonata.Object{
			{Name: "Execution", Value: jsonata.Object{{Name: "Id", Value: "arn"}, {Name: "Input", Value: json.RawMessage(`[[1], 2]`)}}},
			{Name: "State", Value: jsonata.Object{{Name: "RetryCount", Value: 0}}},
		}},
	}
	const text = `{"input":{"a":[1,{"b":null}],"c":"x"},"context":{"Execution":{"Id":"arn","Input":[[1],2]},"State":{"RetryCount":0}}}`
	for _, src := range []string{
		"$states", "$states.input", "$states.*", "$states.**.b", "$keys($states)", "$string($states)", "$spread($states.context)", "$each($states, $string)",
		"$states.context.Execution.Input[0]", "$states.context.State.RetryCount + 1", "$merge([$states.input, $states.context])", "$count($states.input.a)",
		"$states ~> |context|{'x': 1}, ['State']|", "$states.input = {'a': [1, {'b': null}], 'c': 'x'}", "$lookup($states, 'input')", "$exists($states.result)",
		"$type($states.context)", "$sift($states, function($v, $k) { $k = 'input' })", "$states[input.c = 'x'].context.Execution.Id", "($s := $states; [$s.input.a, $s.input.a])",
	} {
		var got [2]string
		for i, s := range []*jsonata.Session{
			e.Session(map[string]json.RawMessage{"states": json.RawMessage(text)}, nil), e.Session(nil, states),
		} {
			out, err := s.Eval(t.Context(), src)
			s.Close()
			got[i] = fmt.Sprint(string(out), err)
		}
		if got[0] != got[1] {
			t.Errorf("%s: %s, want %s", src, got[1], got[0])
		}
	}
}

func TestRunawayExpressionIsStopped(t *testing.T) {
	const forever = `($f := function($n){ $f($n + 1) }; $f(0))`
	e := engine(t, jsonata.Options{Limit: 50 * time.Millisecond, Runtimes: 1})
	s := e.Session(nil, nil)
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
			s := e.Session(map[string]json.RawMessage{"x": json.RawMessage(`20`)}, nil)
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
