package lambda

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// Line is one line that a function printed, or one of Lambda's own around it.
type Line struct {
	Time     time.Time
	Function string // its ARN
	// RequestID is the invocation the line belongs to; empty before the first.
	RequestID string
	Text      string
}

// keptLines bounds the memory of a world that runs for long.
const keptLines = 50_000

// Logs keeps the functions' latest lines. It is safe for concurrent use.
type Logs struct {
	now    func() time.Time
	follow func(Line)

	mu    sync.Mutex
	lines []Line
}

// Lines returns the lines so far, in order; of one function when arn is not
// empty.
func (l *Logs) Lines(arn string) []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []Line
	for _, line := range l.lines {
		if arn == "" || line.Function == arn {
			lines = append(lines, line)
		}
	}
	return lines
}

func (l *Logs) add(function, requestID, text string) {
	line := Line{Time: l.now(), Function: function, RequestID: requestID, Text: text}
	l.mu.Lock()
	if len(l.lines) == keptLines {
		l.lines = append(l.lines[:0], l.lines[keptLines/2:]...)
	}
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	if l.follow != nil {
		l.follow(line)
	}
}

// tail is LogType=Tail: the last 4 KiB of one invocation.
func (l *Logs) tail(function, requestID string) []byte {
	var text strings.Builder
	for _, line := range l.Lines(function) {
		if line.RequestID == requestID {
			text.WriteString(line.Text + "\n")
		}
	}
	const limit = 4096
	all := text.String()
	return []byte(all[max(0, len(all)-limit):])
}

// output is the pipe that a process prints into. Its lines belong to the
// invocation that is current when they are read, so output is flushed before
// the next one begins.
type output struct {
	logs     *Logs
	function string
	write    *os.File // also the process's stdout and stderr
	closed   chan struct{}
	nonce    string

	mu        sync.Mutex
	requestID string
	pending   []byte // of a line not ended yet
	flushes   int
	flushed   map[int]chan struct{}
}

func newOutput(logs *Logs, function string) (*output, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("log pipe: %w", err)
	}
	o := &output{logs: logs, function: function, write: write, closed: make(chan struct{}), nonce: rand.Text(), flushed: map[int]chan struct{}{}}
	go o.copy(read)
	return o, nil
}

func (o *output) begin(requestID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requestID = requestID
}

func (o *output) print(format string, args ...any) {
	o.mu.Lock()
	id := o.requestID
	o.mu.Unlock()
	o.logs.add(o.function, id, fmt.Sprintf(format, args...))
}

// longestLine is as much of a line without an end as is kept together, the size
// of a log event in CloudWatch Logs. What follows is a line of its own.
const longestLine = 256 << 10

// mark is what flush number id writes into the pipe behind the process's output.
// The output's nonce keeps the process from printing one itself.
func (o *output) mark(id int) string { return fmt.Sprintf("\x00%s %d\x00\n", o.nonce, id) }

// flush waits until everything that the process has printed so far is in the
// logs: it sends a mark through the same pipe and waits for it at the other end.
func (o *output) flush() {
	o.mu.Lock()
	o.flushes++
	id, arrived := o.flushes, make(chan struct{})
	o.flushed[id] = arrived
	o.mu.Unlock()
	if _, err := io.WriteString(o.write, o.mark(id)); err != nil {
		return // closed: there is nothing left to wait for
	}
	select {
	case <-arrived:
	case <-o.closed:
	}
}

// close ends the pipe on this side; what children still hold open stays open
// until they are gone.
func (o *output) close() {
	o.flush()
	_ = o.write.Close() // a pipe without buffer: nothing can be lost
}

func (o *output) copy(read *os.File) {
	defer close(o.closed)
	defer read.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := read.Read(buffer)
		o.take(buffer[:n])
		if err != nil {
			if len(o.pending) > 0 {
				o.print("%s", o.pending)
			}
			if err != io.EOF {
				o.print("log pipe: %v", err)
			}
			return
		}
	}
}

func (o *output) take(data []byte) {
	o.pending = append(o.pending, data...)
	for {
		line, rest, found := bytes.Cut(o.pending, []byte("\n"))
		switch {
		case found:
			o.pending = append([]byte(nil), rest...)
		case len(o.pending) > longestLine:
			line, o.pending = o.pending, nil
		default:
			return
		}
		text, arrived := o.cutMark(string(line))
		if text != "" || arrived == nil {
			o.print("%s", text)
		}
		if arrived != nil {
			close(arrived)
		}
	}
}

// cutMark removes the mark of a flush from the end of a line and returns who
// waits for it, or nil. What only looks like a mark is the process's own output.
func (o *output) cutMark(line string) (text string, arrived chan struct{}) {
	at := strings.LastIndex(line, "\x00"+o.nonce+" ")
	if at < 0 {
		return line, nil
	}
	id := 0
	if n, _ := fmt.Sscanf(line[at+len("\x00"+o.nonce):], " %d\x00", &id); n != 1 {
		return line, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	arrived, ok := o.flushed[id]
	if !ok {
		return line, nil
	}
	delete(o.flushed, id)
	return line[:at], arrived
}
