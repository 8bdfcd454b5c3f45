package main

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	tests := []struct {
		name      string
		window    int
		remaining time.Duration
		random    float64
		want      int
	}{
		{"the first is short", 0, time.Hour, 0, 2},
		{"a random half is left off", 0, time.Hour, 0.999, 2},
		{"it doubles", 3, time.Hour, 0, 16},
		{"half of it is random", 3, time.Hour, 0.999999, 9},
		{"up to a minute", 10, time.Hour, 0, 60},
		{"for ever", 100_000, time.Hour, 0, 60},
		{"never beyond the target's time", 10, 7 * time.Second, 0, 7},
		{"rounded up, so that the last look comes after it", 10, 6100 * time.Millisecond, 0, 7},
	}
	for _, test := range tests {
		p := Poller{random: func() float64 { return test.random }}
		if got := p.pause(test.window, test.remaining); got != test.want {
			t.Errorf("%s: got %d seconds, want %d", test.name, got, test.want)
		}
	}
}
