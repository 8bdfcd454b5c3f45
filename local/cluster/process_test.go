package cluster

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// parentEnv makes the test binary the parent of TestChildDiesWithParent.
const parentEnv = "CROSSAPPLY_TEST_PARENT"

func TestMain(m *testing.M) {
	dir := os.Getenv(parentEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	child, err := startProcess("/bin/sleep", filepath.Join(dir, "log"), "600")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(child.cmd.Process.Pid)
	<-child.done
}

func TestChildDiesWithParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child whose parent was killed")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the parent says %q", line)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); running(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d outlives its parent", pid)
		}
		time.Sleep(10 * time.Millisecond) // the kernel gives no sign to wait for
	}
}

// running tells a live process from one that ended and that nobody has reaped.
func running(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(state, "Z")
}

func TestWaitReadyTellsWhy(t *testing.T) {
	p, err := startProcess("/bin/sh", filepath.Join(t.TempDir(), "log"), "-c", "echo listen: address already in use; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	err = p.waitReady(t.Context(), http.DefaultClient, "http://127.0.0.1:1/readyz")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error = %v, want the exit status and the log", err)
	}
	if !p.portTaken() {
		t.Error("the taken port is not recognised")
	}
	p.stop() // of an ended process
}
