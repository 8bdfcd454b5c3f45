package lambda

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// starter starts processes from one OS thread that lives as long as it does:
// the kernel sends a parent-death signal when the starting thread ends, not the
// process, and the Go runtime may end a thread at any time.
type starter struct {
	requests chan startRequest
	stopped  chan struct{}
}

type startRequest struct {
	command *exec.Cmd
	err     chan error
}

func newStarter() *starter {
	s := &starter{requests: make(chan startRequest), stopped: make(chan struct{})}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for {
			select {
			case request := <-s.requests:
				request.err <- request.command.Start()
			case <-s.stopped:
				return
			}
		}
	}()
	return s
}

func (s *starter) start(command *exec.Cmd) error {
	request := startRequest{command, make(chan error, 1)}
	select {
	case s.requests <- request:
		return <-request.err
	case <-s.stopped:
		return os.ErrClosed
	}
}

// stop ends the thread; every process must be gone by then.
func (s *starter) stop() { close(s.stopped) }

// kill ends a process and all it started.
func kill(p *os.Process) {
	// An error says that the group is gone already.
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
}
