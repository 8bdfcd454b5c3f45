package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
)

// view shows the progress of a rollout and of its targets: on a terminal in lines that
// are redrawn, elsewhere in a plain line per change.
type view struct {
	out      io.Writer
	terminal bool
	drawn    int
	last     map[string]string
}

func newView(out io.Writer, terminal bool) *view {
	return &view{out: out, terminal: terminal, last: map[string]string{}}
}

func (v *view) update(seen snapshot) {
	targets := slices.SortedFunc(maps.Keys(seen.targets), func(a, b contract.Target) int { return cmp.Compare(a.String(), b.String()) })
	var lines []line
	for _, target := range targets {
		lines = append(lines, line{target.String(), seen.targets[target]})
	}
	lines = append(lines, line{"the rollout", seen.rollout})
	if v.terminal {
		v.redraw(lines)
		return
	}
	for _, l := range lines {
		if v.last[l.name] != l.at.stage {
			v.last[l.name] = l.at.stage
			v.print("  %6.1fs  %-40s %s\n", l.at.elapsed.Seconds(), l.name, l.at.stage)
		}
	}
}

// line is one line of what is shown.
type line struct {
	name string
	at   progress
}

func (v *view) redraw(lines []line) {
	var text strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", v.drawn)
	}
	for _, l := range lines {
		mark := "…"
		switch {
		case l.at.succeeded:
			mark = "✓"
		case l.at.ended:
			mark = "✗"
		}
		fmt.Fprintf(&text, "\x1b[2K  %s %-40s %6.1fs  %s\n", mark, l.name, l.at.elapsed.Seconds(), l.at.stage)
	}
	v.drawn = len(lines)
	v.print("%s", text.String())
}

// table shows how every target ended.
func (v *view) table(results []contract.Result) {
	table := tabwriter.NewWriter(v.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nACCOUNT\tREGION\tCLUSTER\tOUTCOME\tCHANGE\tPROOF\tSECONDS\tMESSAGE")
	for _, r := range results {
		message := strings.Join(strings.Fields(r.Message), " ") // one line per target
		if r.Error != "" {
			message = r.Error + ": " + message
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t%s\n", r.Account, r.Region, r.Cluster, r.Outcome, r.Change, r.Proof, r.Seconds, message)
	}
	_ = table.Flush()
}

// print writes to a person's screen: nobody is left to tell if that fails.
func (v *view) print(format string, args ...any) { _, _ = fmt.Fprintf(v.out, format, args...) }

// redrawEvery is how often progress is asked for and shown.
const redrawEvery = 250 * time.Millisecond
