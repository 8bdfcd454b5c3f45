package process_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
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
	command.Stdout = os.Stdout
	p, err := process.Start(command)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("started")
	<-p.Done()
}

func TestChildEndsWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child whose parent was killed")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"=1")
	ended := inherited(t, parent)
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	ended(func() {
		_ = parent.Process.Kill()
		_ = parent.Wait()
	})
}

// inherited gives a command a pipe for its output, which all that it starts holds
// open. The returned function, called once the command is started, waits until it
// says so, ends it, and waits for the pipe's end: then nobody is left to write.
func inherited(t *testing.T, command *exec.Cmd) func(end func()) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = read.Close() })
	command.Stdout = write
	return func(end func()) {
		t.Helper()
		_ = write.Close()
		if err := read.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(read)
		if line, err := out.ReadString('\n'); line != "started\n" {
			t.Fatalf("the parent says %q, %v", line, err)
		}
		end()
		if _, err := out.ReadByte(); err != io.EOF {
			t.Errorf("a process is left: %v", err)
		}
	}
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
	command := exec.Command("/bin/sh", "-c", "/bin/sleep 600 & echo started; wait")
	ended := inherited(t, command)
	p, err := process.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	ended(p.Kill)
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ended with %v", err)
	}
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
