package cluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// meter turns the lines of "go build -v", one package path each, into progress.
// On a terminal one line is kept up to date; elsewhere (a CI log) a plain line
// comes now and then.
type meter struct {
	out      io.Writer
	what     string
	total    int
	terminal bool
	started  time.Time
	ending   string // set before done is closed
	done     chan struct{}
	ended    chan struct{}

	mu      sync.Mutex
	partial []byte
	count   int
	other   []string // lines that are no package: the compiler's complaints
}

func newMeter(out io.Writer, what string, total int) *meter {
	m := &meter{
		out: out, what: what, total: max(total, 1), terminal: isTerminal(out), started: time.Now(),
		done: make(chan struct{}), ended: make(chan struct{}),
	}
	go m.run()
	return m
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Write takes what go build prints.
func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.partial = append(m.partial, p...)
	for {
		line, rest, found := bytes.Cut(m.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		m.partial = rest
		m.take(string(line))
	}
}

// take counts a package path, which never holds a space; go's messages do.
func (m *meter) take(line string) {
	switch {
	case line == "" || strings.HasPrefix(line, "go: downloading "):
	case strings.ContainsAny(line, " \t"):
		m.other = append(m.other, line)
	default:
		m.count++
	}
}

func (m *meter) messages() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	const keep = 40
	return strings.Join(m.other[max(0, len(m.other)-keep):], "\n")
}

func (m *meter) line(now time.Time) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%s: %d of %d packages (%d%%), %s",
		m.what, m.count, m.total, 100*m.count/m.total, now.Sub(m.started).Round(time.Second))
}

func (m *meter) run() {
	defer close(m.ended)
	every, before, after := 20*time.Second, "", "\n"
	if m.terminal {
		every, before, after = 250*time.Millisecond, "\r\x1b[K", ""
	}
	fmt.Fprintf(m.out, "%s%s (once; some minutes)%s", before, m.what, after)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			fmt.Fprint(m.out, before+m.line(now)+after)
		case <-m.done:
			fmt.Fprintf(m.out, "%s%s: %s after %s\n", before, m.what, m.ending, time.Since(m.started).Round(time.Second))
			return
		}
	}
}

// stop says how the build ended.
func (m *meter) stop(err error) {
	m.ending = "done"
	if err != nil {
		m.ending = "ended"
	}
	close(m.done)
	<-m.ended
}
