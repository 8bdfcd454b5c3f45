// Command estimate prints what a rollout costs.
//
//	go run ./docs/estimate -targets 1000 -wait 20
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/crossapply/crossapply/docs/cost"
	"github.com/crossapply/crossapply/shared/awsenv"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("estimate", flag.ContinueOnError)
	var r cost.Rollout
	flags.IntVar(&r.Targets, "targets", 1_000, "how many targets")
	flags.IntVar(&r.Waves, "waves", 1, "in how many waves")
	wait := flags.Float64("wait", 0, "after how many seconds each is Ready; 0: they are unchanged")
	window := flags.Float64("window", awsenv.DefaultPollWindow.Seconds(), "pollWindowSeconds of the configuration")
	flags.BoolVar(&r.Key, "key", false, "with customerManagedKey")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r.Wait, r.Window = seconds(*wait), seconds(*window)
	if r.Targets < 1 || r.Waves < 1 || r.Wait < 0 || r.Window <= 0 || flags.NArg() > 0 {
		return errors.New("targets, waves and window must be more than 0, and wait not less: see -h")
	}
	return write(out, r.Estimate())
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func write(out io.Writer, e cost.Estimate) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "%v: US dollars, list prices of %s, read in %s\n\n", e, cost.Region, cost.Read)
	for _, line := range e.Lines {
		_, _ = fmt.Fprintf(table, "%s\t%s\n", line.What, line.Sum())
	}
	_, _ = fmt.Fprintf(table, "total\t%.2f\n", e.USD())
	return table.Flush()
}
