package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/local/emulator/process"
)

const (
	// loopback is the only address anything here listens on.
	loopback = "127.0.0.1"
	// readyTimeout is for one program on a busy machine with few cores.
	readyTimeout = 3 * time.Minute
)

// program is a running program whose output goes to a log file. It is ended by
// SIGKILL: an API server keeps no state of its own and would wait for its clients'
// watches, and etcd's data is removed with it.
type program struct {
	*process.Process
	cmd *exec.Cmd
	log string
}

// startProgram returns when the program's /readyz answers as config reaches it. An
// error after the start comes with the program, which has ended then.
func startProgram(ctx context.Context, config *rest.Config, path, log string, args ...string) (*program, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // the child has its own descriptor
	p := &program{cmd: exec.Command(path, args...), log: log}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = filepath.Dir(log), file, file
	if p.Process, err = process.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name(), err)
	}
	if err := p.waitReady(ctx, config); err != nil {
		p.Kill()
		return p, fmt.Errorf("%s is not ready: %w\n%s", p.name(), err, p.tail())
	}
	return p, nil
}

func (p *program) waitReady(ctx context.Context, config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, readyTimeout, true, func(ctx context.Context) (bool, error) {
		select {
		case <-p.Done():
			return false, fmt.Errorf("it ended: %s", p.cmd.ProcessState)
		default:
		}
		_, last = client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return last == nil, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("%w (%w)", err, last)
	}
	return err
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
