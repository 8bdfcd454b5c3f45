package cluster

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// meter shows how far a download or build is. On a terminal one line is kept up to
// date; elsewhere (a CI log) a plain line comes now and then.
type meter struct {
	out     io.Writer
	what    string
	state   func() string
	started time.Time
	ending  chan string
	ended   chan struct{}
}

// startMeter says what is done, and how long it takes if hint is not empty. State
// tells how far it is.
func startMeter(out io.Writer, what, hint string, state func() string) *meter {
	m := &meter{
		out: out, what: what, state: state, started: time.Now(),
		ending: make(chan string), ended: make(chan struct{}),
	}
	if hint != "" {
		what += " (once; " + hint + ")"
	}
	go m.run(what)
	return m
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func (m *meter) line(now time.Time) string {
	return fmt.Sprintf("%s: %s, %s", m.what, m.state(), now.Sub(m.started).Round(time.Second))
}

func (m *meter) run(title string) {
	defer close(m.ended)
	every, before, after := 20*time.Second, "", "\n"
	if isTerminal(m.out) {
		every, before, after = 250*time.Millisecond, "\r\x1b[K", ""
	}
	_, _ = fmt.Fprint(m.out, before+title+after)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			_, _ = fmt.Fprint(m.out, before+m.line(now)+after)
		case ending := <-m.ending:
			_, _ = fmt.Fprintf(m.out, "%s%s: %s after %s\n", before, m.what, ending, time.Since(m.started).Round(time.Second))
			return
		}
	}
}

// stop says how the work ended, and returns when it is said.
func (m *meter) stop(err error) {
	ending := "done"
	if err != nil {
		ending = "stopped"
	}
	m.ending <- ending
	<-m.ended
}
