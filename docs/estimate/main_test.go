package main

import (
	"io"
	"strings"
	"testing"
)

func TestEstimate(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"-targets", "1000", "-wait", "20", "-key"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,000 targets, each Ready after 20 seconds", "7,013 × 0.025 / 1,000 = 0.175", "KMS", "total"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
	for _, wrong := range [][]string{{"-targets", "0"}, {"-waves", "0"}, {"-wait", "-1"}, {"-window", "0"}, {"more"}} {
		if err := run(wrong, io.Discard); err == nil {
			t.Errorf("%q is not refused", wrong)
		}
	}
}
