// Package binaries finds the programs of a Kubernetes control plane for this
// repository: it knows where they are cached and which module builds them.
package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/crossapply/crossapply/local/emulator/cluster"
)

// Find returns the programs, from where [cluster.FindBinaries] looks for them. It
// tells progress, which may be nil, what takes long. The working directory must be
// inside the repository.
func Find(ctx context.Context, progress io.Writer) (cluster.Binaries, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return cluster.Binaries{}, fmt.Errorf("find the cache folder: %w", err)
	}
	module, err := findModule()
	if err != nil {
		return cluster.Binaries{}, err
	}
	return cluster.FindBinaries(ctx, cluster.Sources{
		Cache:  filepath.Join(caches, "crossapply", "controlplane"),
		Module: module,
	}, progress)
}

// findModule finds the nested module local/controlplane above the working directory.
func findModule() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		module := filepath.Join(dir, "local", "controlplane")
		if _, err := os.Stat(filepath.Join(module, "go.mod")); err == nil {
			return module, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no local/controlplane/go.mod above %s: run inside the repository", start)
		}
	}
}
