package asl

import (
	"testing"
	"time"
)

func TestContextTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for after, want := range map[time.Duration]string{
		0:                       "2026-01-02T02:04:05Z",
		100 * time.Millisecond:  "2026-01-02T02:04:05.100Z",
		999 * time.Microsecond:  "2026-01-02T02:04:05Z",
		1234 * time.Microsecond: "2026-01-02T02:04:05.001Z",
	} {
		if got := contextTime(at.Add(after)); got != want {
			t.Errorf("%s: %s, want %s", after, got, want)
		}
	}
}
