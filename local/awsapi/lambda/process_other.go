//go:build unix && !linux

package lambda

import "syscall"

// processAttributes puts a sandbox into a process group of its own, so that it
// can be ended with all it started.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
