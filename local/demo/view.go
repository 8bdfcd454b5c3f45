package demo

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
)

// view shows the progress of targets: on a terminal in lines that are redrawn,
// elsewhere in a plain line per change.
type view struct {
	out      io.Writer
	terminal bool
	targets  []contract.Target
	drawn    int
	last     map[contract.Target]string
}

func newView(out io.Writer, terminal bool, targets []contract.Target) *view {
	return &view{out: out, terminal: terminal, targets: targets, last: map[contract.Target]string{}}
}

func (v *view) update(seen map[contract.Target]progress) {
	if v.terminal {
		v.redraw(seen)
		return
	}
	for _, target := range v.targets {
		at, ok := seen[target]
		if !ok || v.last[target] == at.stage {
			continue
		}
		v.last[target] = at.stage
		v.print("  %6.1fs  %-40s %s\n", at.elapsed.Seconds(), target, at.stage)
	}
}

func (v *view) redraw(seen map[contract.Target]progress) {
	var text strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", v.drawn)
	}
	for _, target := range v.targets {
		at, ok := seen[target]
		mark := "…"
		switch {
		case !ok:
			at.stage, mark = "waiting", " "
		case at.ended && at.stage == "SUCCEEDED":
			mark = "✓"
		case at.ended:
			mark = "✗"
		}
		fmt.Fprintf(&text, "\x1b[2K  %s %-40s %6.1fs  %s\n", mark, target, at.elapsed.Seconds(), at.stage)
	}
	v.drawn = len(v.targets)
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
