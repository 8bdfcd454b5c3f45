package runs_test

import (
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/runs"
)

// A name that comes again 90 days later has another report; the day is UTC's,
// whatever clock tells the start.
func TestReportKey(t *testing.T) {
	start := time.Date(2026, 11, 26, 0, 30, 0, 0, time.FixedZone("CET", 3_600))
	for started, want := range map[time.Time]string{
		start:                   "reports/2026-11-25/nightly.json",
		start.AddDate(0, 0, 90): "reports/2027-02-23/nightly.json",
	} {
		if got := runs.ReportKey("nightly", started); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
