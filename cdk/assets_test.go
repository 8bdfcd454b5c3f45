package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// The same source gives the same bytes, wherever it lies: so the same commit has
// the same asset hashes on every machine. The command is the Makefile's.
func TestBuildIsReproducible(t *testing.T) {
	command := regexp.MustCompile(`(?m)^GO_BUILD +:= (.*)$`).FindSubmatch(read(t, "../Makefile"))
	if command == nil {
		t.Fatal("the Makefile has no GO_BUILD")
	}
	elsewhere := t.TempDir()
	for _, part := range []string{"functions/report", "shared"} {
		must(t, os.CopyFS(filepath.Join(elsewhere, part), os.DirFS(filepath.Join("..", part))))
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		must(t, os.WriteFile(filepath.Join(elsewhere, file), read(t, filepath.Join("..", file)), 0o600))
	}
	var built [][]byte
	for _, dir := range []string{"..", elsewhere} {
		out := filepath.Join(t.TempDir(), "bootstrap")
		build := exec.CommandContext(t.Context(), "bash", "-c", string(command[1])+` -o "$0" ./functions/report`, out)
		build.Dir = dir
		if text, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build in %s: %v\n%s", dir, err, text)
		}
		built = append(built, read(t, out))
	}
	if !bytes.Equal(built[0], built[1]) {
		t.Error("two folders give two binaries")
	}
	if bytes.Contains(built[1], []byte(elsewhere)) {
		t.Error("the binary names the folder it was built in")
	}
}
