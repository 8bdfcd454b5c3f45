//go:build unix

package process

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a child that was started.
type Process struct {
	command *exec.Cmd
	done    chan struct{}
	err     error // set before done is closed
}

// Start starts the command. It returns the error of [exec.Cmd.Start].
func Start(command *exec.Cmd) (*Process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(command.SysProcAttr)
	p := &Process{command: command, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the thread that started
		// the child ends, not the process, and Go may end a thread at any time.
		// So the thread that starts a child stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := command.Start()
		started <- err
		if err == nil {
			p.wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Process) wait() {
	p.err = p.command.Wait()
	_ = signal(p.command, syscall.SIGKILL) // what it started and left behind, if there is any
	close(p.done)
}

// Run starts the command and waits for its end. It returns the error of
// [exec.Cmd.Run].
func Run(command *exec.Cmd) error {
	p, err := Start(command)
	if err != nil {
		return err
	}
	<-p.Done()
	return p.Err()
}

// Done is closed when the process has ended and nothing is left of it.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err returns the error of [exec.Cmd.Wait], once Done is closed.
func (p *Process) Err() error { return p.err }

// Kill ends the process and all that it started, without asking, and returns
// when they are gone.
func (p *Process) Kill() {
	select {
	case <-p.done: // its id may be another's by now
	default:
		_ = signal(p.command, syscall.SIGKILL) // an error says that it has just ended
		<-p.done
	}
}

// Interrupt asks a started command and all that it started to end.
func Interrupt(command *exec.Cmd) error { return signal(command, syscall.SIGINT) }

func signal(command *exec.Cmd, s syscall.Signal) error {
	return syscall.Kill(-command.Process.Pid, s)
}
