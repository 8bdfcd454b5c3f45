package cluster

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func TestWaitReadyTellsWhy(t *testing.T) {
	p, err := startProgram("/bin/sh", filepath.Join(t.TempDir(), "log"), "-c", "echo listen: address already in use; exit 3")
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
	p.Kill() // of an ended program
}
