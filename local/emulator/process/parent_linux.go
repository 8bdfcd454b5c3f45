package process

import "syscall"

// endWithParent has the kernel end the child when the thread that starts it is gone.
func endWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }
