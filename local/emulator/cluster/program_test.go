package cluster

import (
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

func TestStartProgramTellsWhy(t *testing.T) {
	p, err := startProgram(t.Context(), &rest.Config{Host: "http://127.0.0.1:1"}, "/bin/sh", filepath.Join(t.TempDir(), "log"),
		"-c", "echo listen: address already in use; exit 3")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("error = %v, want the exit status and the log", err)
	}
	if !p.portTaken() {
		t.Error("the taken port is not recognised")
	}
	p.Kill() // of an ended program
}
