//go:build unix && !linux

package cluster

import "syscall"

// diesWithParent does nothing: only Linux can promise it. Close still ends every
// child of a parent that ends in good order.
func diesWithParent(*syscall.SysProcAttr) {}
