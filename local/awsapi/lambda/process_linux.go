package lambda

import "syscall"

// processAttributes puts a sandbox into a process group of its own, so that it
// can be ended with all it started, and has the kernel end it with this process.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
