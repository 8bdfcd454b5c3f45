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
	"sync"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/crossapply/crossapply/local/emulator/process"
)

const (
	etcdPackage      = "go.etcd.io/etcd/server/v3"
	apiserverPackage = "k8s.io/kubernetes/cmd/kube-apiserver"
	apiserverModule  = "k8s.io/kubernetes"
)

// builder compiles both programs from the module that pins them.
type builder struct {
	module   string
	version  string // of Kubernetes, such as v1.37.2
	progress io.Writer
}

func newBuilder(module string, progress io.Writer) (builder, error) {
	path := filepath.Join(module, "go.mod")
	data, err := os.ReadFile(path)
	if err != nil {
		return builder{}, fmt.Errorf("read the control plane's module: %w", err)
	}
	file, err := modfile.ParseLax(path, data, nil)
	if err != nil {
		return builder{}, fmt.Errorf("read the control plane's module: %w", err)
	}
	for _, required := range file.Require {
		if required.Mod.Path == apiserverModule {
			return builder{module: module, version: required.Mod.Version, progress: progress}, nil
		}
	}
	return builder{}, fmt.Errorf("%s does not require %s", path, apiserverModule)
}

// key names everything that decides what a build gives: the pinned modules, the
// toolchain, the platform and the flags.
func (b builder) key(ctx context.Context) (string, error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(b.module, name))
		if err != nil {
			return "", fmt.Errorf("read the control plane's module: %w", err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", name, len(data), data)
	}
	env, err := b.goOutput(ctx, "env", "GOOS", "GOARCH", "GOVERSION")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(hash, "%s%s", env, linkerFlags("version"))
	return fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

// run compiles into dir.
func (b builder) run(ctx context.Context, dir string) error {
	output := &buildOutput{}
	meter := startMeter(b.progress, "building kube-apiserver "+b.version+" and etcd", "some minutes", output.state)
	err := b.compile(ctx, dir, output)
	meter.stop(err)
	if err != nil {
		return err
	}
	// Go names a program after the last element of its package path.
	return os.Rename(filepath.Join(dir, "server"), filepath.Join(dir, "etcd"))
}

func (b builder) compile(ctx context.Context, dir string, output *buildOutput) error {
	deps, err := b.goOutput(ctx, "list", "-deps", etcdPackage, apiserverPackage)
	if err != nil {
		return err
	}
	output.expect(strings.Count(deps, "\n"))
	cmd := b.goCommand(ctx, "build", "-v", "-trimpath", "-ldflags="+linkerFlags(b.version),
		"-o", dir+string(filepath.Separator), etcdPackage, apiserverPackage)
	cmd.Stderr = output
	err = process.Run(cmd)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("%w\n%s", err, output.messages())
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

// goCommand runs the go tool in the module, away from a caller's workspace or flags
// meant for another module. A canceled ctx interrupts it and its compilers, and go
// then removes its own temporary files.
func (b builder) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.module
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	cmd.Cancel = func() error { return process.Interrupt(cmd) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (b builder) goOutput(ctx context.Context, args ...string) (string, error) {
	cmd := b.goCommand(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := process.Run(cmd)
	switch {
	case err == nil:
		return stdout.String(), nil
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("the go tool is needed to build the control plane (or set %s): %w", assetsEnv, err)
	case ctx.Err() != nil:
		return "", ctx.Err()
	}
	return "", fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
}

// buildOutput reads what "go build -v" prints: the path of each package when it is
// compiled, and the compiler's messages.
type buildOutput struct {
	mu      sync.Mutex
	total   int // 0: not known yet
	count   int
	partial []byte
	other   []string // lines that are not a package's path
}

func (o *buildOutput) expect(packages int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.total = packages
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.partial = append(o.partial, p...)
	for {
		line, rest, found := bytes.Cut(o.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		o.partial = rest
		o.take(string(line))
	}
}

// take counts a package path, which never holds a space; go's messages do.
func (o *buildOutput) take(line string) {
	switch {
	case line == "" || strings.HasPrefix(line, "go: downloading "):
	case strings.ContainsAny(line, " \t"):
		o.other = append(o.other, line)
	default:
		o.count++
	}
}

func (o *buildOutput) state() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.total == 0 {
		return "looking for its packages"
	}
	return fmt.Sprintf("%d of %d packages (%d%%)", o.count, o.total, 100*o.count/o.total)
}

func (o *buildOutput) messages() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	const keep = 40
	return strings.Join(o.other[max(0, len(o.other)-keep):], "\n")
}
