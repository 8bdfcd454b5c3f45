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

	"github.com/crossapply/crossapply/local/emulator/process"
)

// loopback is the only address anything here listens on.
const loopback = "127.0.0.1"

// program is a running program whose output goes to a log file. It is killed
// without asking politely: an API server keeps no state of its own and would wait
// for its clients' watches, and etcd's data is thrown away with it.
type program struct {
	*process.Process
	cmd *exec.Cmd
	log string
}

func startProgram(path, log string, args ...string) (*program, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own descriptor
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(log), file, file
	child, err := process.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}
	return &program{Process: child, cmd: cmd, log: log}, nil
}

// errProcessEnded is returned when a program ends before it is ready.
var errProcessEnded = errors.New("ended before it was ready")

// waitReady asks url until it answers 200. Its error carries the log's tail.
func (p *program) waitReady(ctx context.Context, client *http.Client, url string) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last := probe(ctx, client, url)
		if last == nil {
			return nil
		}
		select {
		case <-p.Done():
			return fmt.Errorf("%s %w: %s\n%s", p.name(), errProcessEnded, p.cmd.ProcessState, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w (%w)\n%s", p.name(), ctx.Err(), last, p.tail())
		case <-tick.C:
		}
	}
}

func (p *program) name() string { return filepath.Base(p.cmd.Path) }

// portTaken tells whether the program ended because another one has its port.
func (p *program) portTaken() bool { return bytes.Contains(p.tail(), []byte("address already in use")) }

func (p *program) tail() []byte {
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
func onFreePort(start func(port string) (*program, error)) (*program, error) {
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
