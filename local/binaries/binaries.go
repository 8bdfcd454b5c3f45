// Package binaries finds the programs of a Kubernetes control plane for this
// repository: it knows where they are cached and which module builds them.
package binaries

import (
	"context"
	"io"

	"github.com/crossapply/crossapply/local/emulator/cluster"
)

// Find returns the programs, from where [cluster.FindBinaries] looks for them. It
// tells progress, which may be nil, what takes long.
func Find(ctx context.Context, progress io.Writer) (cluster.Binaries, error) {
	return cluster.FindBinaries(ctx, progress)
}
