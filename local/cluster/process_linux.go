package cluster

import "syscall"

// diesWithParent has the kernel kill the child when the parent is gone, however
// it went. The signal follows the thread that started the child; Go keeps its
// threads, unless a goroutine locked to one ends, which nothing here does.
func diesWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
