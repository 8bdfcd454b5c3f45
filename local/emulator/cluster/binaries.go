package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/crossapply/crossapply/local/emulator/process"
)

// assetsEnv is envtest's variable: the folder that holds kube-apiserver and etcd.
// https://book.kubebuilder.io/reference/envtest
const assetsEnv = "KUBEBUILDER_ASSETS"

const (
	etcdPackage      = "go.etcd.io/etcd/server/v3"
	apiserverPackage = "k8s.io/kubernetes/cmd/kube-apiserver"
)

// Binaries are the paths of the programs that make a control plane.
type Binaries struct {
	Etcd      string
	APIServer string
}

// FindBinaries returns the control plane's programs, and builds them if there are
// none yet. In order of preference they come from:
//
//   - the folder named by KUBEBUILDER_ASSETS, for those who have envtest's;
//   - the user's cache folder, under a name made from everything that goes into
//     the build, so that a new version never meets an old binary;
//   - a build of the nested module local/controlplane, which takes some minutes
//     once and then fills that cache.
//
// The build tells its progress to progress, which may be nil. A canceled ctx ends
// it and leaves the cache as it was. Only a finished build is moved into the
// cache, and one process builds while others wait for it.
func FindBinaries(ctx context.Context, progress io.Writer) (Binaries, error) {
	if dir := os.Getenv(assetsEnv); dir != "" {
		b, err := binariesIn(dir)
		if err != nil {
			return Binaries{}, fmt.Errorf("%s: %w", assetsEnv, err)
		}
		return b, nil
	}
	module, err := controlPlaneModule()
	if err != nil {
		return Binaries{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return Binaries{}, fmt.Errorf("find the cache folder: %w", err)
	}
	key, err := buildKey(ctx, module)
	if err != nil {
		return Binaries{}, err
	}
	if progress == nil {
		progress = io.Discard
	}
	b := builder{
		dir:   filepath.Join(cache, "crossapply", "controlplane", key),
		build: func(ctx context.Context, dir string) error { return build(ctx, module, dir, progress) },
	}
	return b.binaries(ctx)
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

// builder fills one folder of the cache. Its build function is a field so that
// the care taken around a build can be tested without one.
type builder struct {
	dir   string
	build func(ctx context.Context, dir string) error
}

func (b builder) binaries(ctx context.Context) (Binaries, error) {
	if found, err := binariesIn(b.dir); err == nil {
		return found, nil
	}
	if err := os.MkdirAll(filepath.Dir(b.dir), 0o755); err != nil {
		return Binaries{}, fmt.Errorf("make the cache folder: %w", err)
	}
	lock := flock.New(b.dir + ".lock")
	if _, err := lock.TryLockContext(ctx, 250*time.Millisecond); err != nil {
		return Binaries{}, fmt.Errorf("wait for another build of the control plane: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	// Whoever held the lock before may have built what we came for.
	if found, err := binariesIn(b.dir); err == nil {
		return found, nil
	}
	if err := b.fill(ctx); err != nil {
		return Binaries{}, fmt.Errorf("build the control plane: %w", err)
	}
	return binariesIn(b.dir)
}

// fill builds beside the cache folder and renames when all is there, so that a
// build cut short, even by a power failure, is never taken for a whole one.
func (b builder) fill(ctx context.Context) error {
	unfinished := b.dir + ".unfinished"
	for _, dir := range []string{unfinished, b.dir} { // left by a killed build, or by hand
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Mkdir(unfinished, 0o755); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }() // gone already when all went well
	if err := b.build(ctx, unfinished); err != nil {
		return err
	}
	if _, err := binariesIn(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, b.dir)
}

// controlPlaneModule finds local/controlplane in the working directory's module.
func controlPlaneModule() (string, error) {
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
			return "", fmt.Errorf("no local/controlplane/go.mod above %s: run inside the repository, or set %s", start, assetsEnv)
		}
	}
}

// buildKey names everything that decides what a build gives: the pinned modules,
// the toolchain, the platform and the flags.
func buildKey(ctx context.Context, module string) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", fmt.Errorf("read the control plane's module: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(data), data)
	}
	env, err := goOutput(ctx, module, "env", "GOOS", "GOARCH", "GOVERSION")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(hash, "%s%s", env, linkerFlags("version"))
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

// build compiles both programs into dir.
func build(ctx context.Context, module, dir string, progress io.Writer) error {
	version, err := goOutput(ctx, module, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	if err != nil {
		return err
	}
	deps, err := goOutput(ctx, module, "list", "-deps", etcdPackage, apiserverPackage)
	if err != nil {
		return err
	}
	cmd := goCommand(ctx, module, "build", "-v", "-trimpath", "-ldflags="+linkerFlags(strings.TrimSpace(version)),
		"-o", dir+string(filepath.Separator), etcdPackage, apiserverPackage)
	meter := newMeter(progress, "building kube-apiserver "+strings.TrimSpace(version)+" and etcd", strings.Count(deps, "\n"))
	cmd.Stderr = meter
	err = process.Run(cmd)
	meter.stop(err)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w\n%s", err, meter.messages())
	}
	// Go names a program after the last element of its package path.
	return os.Rename(filepath.Join(dir, "server"), filepath.Join(dir, "etcd"))
}

// linkerFlags strips the programs and stamps the version that a release build
// would carry. Without it the server calls itself v0.0.0-master.
func linkerFlags(version string) string {
	const pkg = "k8s.io/component-base/version"
	flags := []string{"-s", "-w", "-X", pkg + ".gitVersion=" + version, "-X", pkg + ".gitTreeState=", "-X", pkg + ".gitCommit="}
	if parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3); len(parts) == 3 {
		flags = append(flags, "-X", pkg+".gitMajor="+parts[0], "-X", pkg+".gitMinor="+parts[1])
	}
	return strings.Join(flags, " ")
}

// goCommand runs the go tool in the nested module, away from a caller's workspace
// or flags meant for another module. A canceled ctx interrupts it and its
// compilers, and go then removes its own temporary files.
func goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Cancel = func() error { return process.Interrupt(cmd) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func goOutput(ctx context.Context, module string, args ...string) (string, error) {
	cmd := goCommand(ctx, module, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := process.Run(cmd)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("the go tool is needed to build the control plane (or set %s): %w", assetsEnv, err)
	}
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
