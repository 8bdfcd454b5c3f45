package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// loopback is the only address anything here listens on.
const loopback = "127.0.0.1"

// process is a running program whose output goes to a log file.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the program has ended
}

func startProcess(path, log string, args ...string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own descriptor
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(log), file, file
	inOwnGroup(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(p.done)
	}()
	return p, nil
}

// stop ends the program and returns when it is gone. It does not ask politely: an
// API server keeps no state of its own and would wait for its clients' watches, and
// etcd's data is thrown away with it.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// errProcessEnded is returned when a program ends before it is ready.
var errProcessEnded = errors.New("ended before it was ready")

// waitReady asks url until it answers 200. Its error carries the log's tail.
func (p *process) waitReady(ctx context.Context, client *http.Client, url string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last := probe(ctx, client, url)
		if last == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s %w: %s\n%s", p.name(), errProcessEnded, p.cmd.ProcessState, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w)\n%s", p.name(), ctx.Err(), last, p.tail())
		case <-tick.C:
		}
	}
}

func (p *process) name() string { return filepath.Base(p.cmd.Path) }

// portTaken tells whether the program ended because another one has its port.
func (p *process) portTaken() bool { return bytes.Contains(p.tail(), []byte("address already in use")) }

func (p *process) tail() []byte {
	const keep = 3000
	data, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return data[max(0, len(data)-keep):]
}

func probe(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return nil
}

// freePort finds a port that nothing listens on at this moment.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), nil
}

// onFreePort runs start with a free port, and again with another one when a third
// program took the port in the moment between.
func onFreePort(start func(port string) (*process, error)) (*process, error) {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		p, err := start(port)
		if err == nil {
			return p, nil
		}
		if p == nil || !p.portTaken() || attempt == attempts {
			return nil, err
		}
	}
}
