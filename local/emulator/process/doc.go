// Package process starts child processes that do not outlive this one.
//
//   - [Start] starts a command in a process group of its own, so that a
//     terminal's Ctrl-C reaches only this process, which ends its children in
//     order, and so that a child can be ended with all that it started.
//   - [Process] is a started one; [Run] starts one and waits for it.
//
// On Linux the kernel also ends a child when this process is gone, however it
// ended. Elsewhere only a process that ends normally ends its children.
package process
