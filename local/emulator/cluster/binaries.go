package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/remote"
)

// The environment variables that FindBinaries reads; its documentation says what
// they do.
const (
	assetsEnv = "KUBEBUILDER_ASSETS"
	indexEnv  = "ENVTEST_INDEX_URL"
	indexOff  = "off"
)

// Binaries are the paths of the programs that make a control plane.
type Binaries struct {
	Etcd      string
	APIServer string
}

// Sources says where [FindBinaries] looks.
type Sources struct {
	// Cache is a folder that keeps what was downloaded or built.
	Cache string
	// Module is the folder of a Go module that pins the versions: its go.mod names
	// k8s.io/kubernetes/cmd/kube-apiserver and go.etcd.io/etcd/server/v3 as tools.
	Module string
}

// FindBinaries returns the programs of a control plane. In order of preference they
// come from:
//
//   - the folder that KUBEBUILDER_ASSETS names, as with envtest
//     (https://book.kubebuilder.io/reference/envtest);
//   - the cache, under a name made from everything that goes into a build, so that
//     a new version never meets an old binary;
//   - the archives that envtest publishes, with their checksums verified: the newest
//     of the minor version that the module pins, or of the newest minor before it.
//     ENVTEST_INDEX_URL is the address of another index than envtest's, or "off";
//   - a build of the module, which takes some minutes. It follows where nothing can
//     be downloaded; a server that is silent for five seconds counts as absent.
//
// What takes long tells progress, which may be nil. A canceled ctx ends it and
// leaves the cache as it was: only a whole download or build is moved there. One
// process downloads or builds while others wait for it.
func FindBinaries(ctx context.Context, sources Sources, progress io.Writer) (Binaries, error) {
	if dir := os.Getenv(assetsEnv); dir != "" {
		b, err := binariesIn(dir)
		if err != nil {
			return Binaries{}, fmt.Errorf("%s: %w", assetsEnv, err)
		}
		return b, nil
	}
	if progress == nil {
		progress = io.Discard
	}
	b, err := newBuilder(sources.Module, progress)
	if err != nil {
		return Binaries{}, err
	}
	key, err := b.key(ctx)
	if err != nil {
		return Binaries{}, err
	}
	d := downloader{
		index:    cmp.Or(os.Getenv(indexEnv), remote.DefaultIndexURL),
		newest:   b.version,
		patience: 5 * time.Second,
		progress: progress,
	}
	c := cache{dir: filepath.Join(sources.Cache, key), download: d.run, build: b.run, progress: progress}
	return c.binaries(ctx)
}

// binariesIn returns the programs in dir, or an error that names the missing one.
func binariesIn(dir string) (Binaries, error) {
	b := Binaries{Etcd: filepath.Join(dir, "etcd"), APIServer: filepath.Join(dir, "kube-apiserver")}
	for _, path := range []string{b.Etcd, b.APIServer} {
		info, err := os.Stat(path)
		if err != nil {
			return Binaries{}, err
		}
		if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			return Binaries{}, fmt.Errorf("%s is not an executable file", path)
		}
	}
	return b, nil
}

// cache is one folder with both programs. The functions that put them into a folder
// are fields so that the care taken around them can be tested without them.
type cache struct {
	dir             string
	download, build func(ctx context.Context, dir string) error
	progress        io.Writer
}

func (c cache) binaries(ctx context.Context) (Binaries, error) {
	if found, err := binariesIn(c.dir); err == nil {
		return found, nil
	}
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o755); err != nil {
		return Binaries{}, fmt.Errorf("make the cache folder: %w", err)
	}
	lock := flock.New(c.dir + ".lock")
	if err := c.wait(ctx, lock); err != nil {
		return Binaries{}, fmt.Errorf("wait for another process that gets the control plane: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	// Whoever held the lock before may have brought what we came for.
	if found, err := binariesIn(c.dir); err == nil {
		return found, nil
	}
	err := c.fill(ctx, c.download)
	if err != nil && ctx.Err() == nil {
		if !errors.Is(err, errDownloadsOff) {
			_, _ = fmt.Fprintf(c.progress, "nothing downloaded: %v; building from source\n", err)
		}
		err = c.fill(ctx, c.build)
	}
	if err != nil {
		return Binaries{}, fmt.Errorf("get the control plane: %w", err)
	}
	return binariesIn(c.dir)
}

func (c cache) wait(ctx context.Context, lock *flock.Flock) error {
	locked, err := lock.TryLock()
	if locked || err != nil {
		return err
	}
	_, _ = fmt.Fprintln(c.progress, "waiting for another process that downloads or builds kube-apiserver and etcd")
	_, err = lock.TryLockContext(ctx, 250*time.Millisecond)
	return err
}

// fill works beside the cache folder and renames when all is there, so that work cut
// short, even by a power failure, is never taken for finished.
func (c cache) fill(ctx context.Context, get func(ctx context.Context, dir string) error) error {
	unfinished := c.dir + ".unfinished"
	for _, dir := range []string{unfinished, c.dir} { // left by a killed process, or by hand
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }() // renamed if all succeeded
	if err := get(ctx, unfinished); err != nil {
		return err
	}
	if _, err := binariesIn(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, c.dir)
}
