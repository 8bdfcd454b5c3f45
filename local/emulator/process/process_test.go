package process_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/crossapply/crossapply/local/emulator/process"
)

// parentEnv makes the test binary the parent of TestChildEndsWithItsParent.
const parentEnv = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(parentEnv) == "" {
		os.Exit(m.Run())
	}
	command := exec.Command("/bin/sleep", "600")
	p, err := process.Start(command)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(command.Process.Pid)
	<-p.Done()
}

func TestChildEndsWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child whose parent was killed")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, bufio.NewReader(out))
	_ = parent.Process.Kill()
	_ = parent.Wait()
	awaitEnd(t, pid)
}

// TestChildOutlivesTheStartersThread starts a child from a goroutine whose
// thread ends with it.
func TestChildOutlivesTheStartersThread(t *testing.T) {
	started := make(chan *process.Process)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		p, err := process.Start(exec.Command("/bin/sleep", "600"))
		if err != nil {
			t.Error(err)
		}
		started <- p
	}()
	p := <-started
	if p == nil {
		return
	}
	select {
	case <-p.Done():
		t.Errorf("the child has ended: %v", p.Err())
	case <-time.After(100 * time.Millisecond): // no sign tells that a thread has ended
	}
	p.Kill()
	p.Kill() // of an ended process
}

func TestKillEndsGrandchildren(t *testing.T) {
	command := exec.Command("/bin/sh", "-c", "/bin/sleep 600 >&2 & echo $!; wait")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, bufio.NewReader(out))
	p.Kill()
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ended with %v", err)
	}
	awaitEnd(t, pid)
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	command := exec.Command("/bin/sh", "-c", "echo done; exit 3")
	command.Stdout = &out
	var exit *exec.ExitError
	if err := process.Run(command); !errors.As(err, &exit) || exit.ExitCode() != 3 || out.String() != "done\n" {
		t.Errorf("%v, %q", err, out.String())
	}
	if err := process.Run(exec.Command("/no/such/program")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}

func readPID(t *testing.T, from *bufio.Reader) int {
	t.Helper()
	line, err := from.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent says %q", line)
	}
	return pid
}

// awaitEnd waits until a process has ended, even if it was not reaped.
func awaitEnd(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if syscall.Kill(pid, 0) != nil || zombie(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond) // the kernel gives no sign to wait for
	}
	t.Errorf("process %d has not ended", pid)
}

// zombie tells, on Linux, a process that has ended and only waits to be reaped.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && strings.HasPrefix(state, "Z")
}
