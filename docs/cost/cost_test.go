package cost

import (
	"math"
	"testing"
	"time"
)

// Windows of a minute, with pauses of 1.5, 3, 6, 12, 24 and then 45 seconds, which
// is what the jitter leaves of them on average.
func TestWindows(t *testing.T) {
	tests := []struct {
		name          string
		wait, watched time.Duration
		windows       int
	}{
		{"within the first", 20 * time.Second, 20 * time.Second, 1},
		{"at the end of the first", time.Minute, time.Minute, 1},
		{"in a pause", 61 * time.Second, time.Minute, 2},
		{"in the second", 90 * time.Second, 88500 * time.Millisecond, 2},
		{"after a quarter of an hour", 15 * time.Minute, 628500 * time.Millisecond, 11},
	}
	for _, test := range tests {
		n, watched := Rollout{Wait: test.wait, Window: time.Minute}.windows()
		if n != test.windows || watched != test.watched {
			t.Errorf("%s: %d windows, %v; want %d, %v", test.name, n, watched, test.windows, test.watched)
		}
	}
}

// Two targets in two windows and three waves, reckoned by hand.
func TestEstimate(t *testing.T) {
	e := Rollout{Targets: 2, Waves: 3, Wait: 90 * time.Second, Key: true}.Estimate()
	want := []float64{
		13 + 2*5 + 2*(6+1+3),                 // transitions
		2*(1+0.5+88.5)*0.25 + (1+3*5+10)*0.5, // GB-seconds
		3 + 2 + 2*4,                          // invocations
		10 + 5 + 1 + 2*(4+4) + 2*(2+1),       // PUT and LIST, with the lock of an earlier execution
		11 + 1 + 2*9 + 2*1,                   // GET
		3 + 2*1,                              // events
		13 * 2_000 / 1e9,                     // GB of logs
		13,                                   // traces
		(11 + 1 + 2*9 + 2*1) + (10 + 1 + 2*4 + 2*2) + 13, // KMS: objects read, objects written, sandboxes
	}
	if len(e.Lines) != len(want) {
		t.Fatalf("%d lines, want %d", len(e.Lines), len(want))
	}
	for i, line := range e.Lines {
		if math.Abs(line.Units-want[i]) > 1e-9 {
			t.Errorf("%s: %v, want %v", line.What, line.Units, want[i])
		}
	}
}

// A list holds a thousand objects, and report lists those of all targets.
func TestListsOfManyTargets(t *testing.T) {
	one, many := Rollout{Targets: 1}.Estimate(), Rollout{Targets: 10_000}.Estimate()
	if more := many.Lines[3].Units - one.Lines[3].Units; more != 9_999*3+10 {
		t.Errorf("%v PUT and LIST more", more)
	}
}

func TestWords(t *testing.T) {
	for want, got := range map[string]string{
		"0.025 per 1,000 state transitions":                Transition.String(),
		"0.0000133334 per GB-second":                       GBSecond.String(),
		"0.20 per 1,000,000 requests":                      Invocation.String(),
		"7,006 × 0.025 / 1,000 = 0.175":                    Line{Units: 7006, Price: Transition}.Sum(),
		"0.006 × 0.57 = 0.003":                             Line{Units: 0.006004, Price: LogGB}.Sum(),
		"1,006 × 0.0004 / 1,000 = 0.0004":                  Line{Units: 1006, Price: Get}.Sum(),
		"1,000 targets that have the resource already":     Rollout{Targets: 1_000}.Estimate().String(),
		"9 targets in 3 waves, each Ready after 1 seconds": Rollout{Targets: 9, Waves: 3, Wait: time.Second}.Estimate().String(),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
