package lambda

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// newTestOutput returns an output and what reads its lines once it is flushed.
func newTestOutput(t *testing.T) (*output, func() []string) {
	t.Helper()
	logs := &Logs{now: time.Now}
	o, err := newOutput(logs, "f")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.close)
	return o, func() []string {
		o.flush()
		var texts []string
		for _, line := range logs.Lines("f") {
			texts = append(texts, line.Text)
		}
		return texts
	}
}

func TestOutputThatLooksLikeAMark(t *testing.T) {
	o, lines := newTestOutput(t)
	for _, text := range []string{"\x00flush 99\x00", "a\x00flush 1\x00b", "\x00", "\x00flush x"} {
		if _, err := fmt.Fprintln(o.write, text); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fmt.Fprint(o.write, "no newline \x00flush 98\x00"); err != nil {
		t.Fatal(err)
	}
	want := []string{"\x00flush 99\x00", "a\x00flush 1\x00b", "\x00", "\x00flush x", "no newline \x00flush 98\x00"}
	if got := lines(); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("lines %q, want %q", got, want)
	}
}

func TestOutputWithoutAnEnd(t *testing.T) {
	o, lines := newTestOutput(t)
	if _, err := fmt.Fprint(o.write, strings.Repeat("x", 3*longestLine)); err != nil {
		t.Fatal(err)
	}
	got := lines()
	if len(got) < 2 || len(strings.Join(got, "")) != 3*longestLine {
		t.Errorf("%d lines of together %d bytes", len(got), len(strings.Join(got, "")))
	}
}
