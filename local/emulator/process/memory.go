package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// PeakMemory returns the largest resident size that a process has had, in bytes,
// and 0 where that cannot be told: of a process that is gone, or without Linux's /proc.
// https://man7.org/linux/man-pages/man5/proc_pid_status.5.html
func PeakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "\nVmHWM:")
	line, _, _ := strings.Cut(after, "\n")
	kibibytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 10, 64)
	if err != nil {
		return 0
	}
	return kibibytes << 10
}

// PeakMemory returns the largest resident size that the process has had: see the
// function of that name.
func (p *Process) PeakMemory() int64 { return PeakMemory(p.command.Process.Pid) }
