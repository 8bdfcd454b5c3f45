package cluster

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// programs puts files under the programs' names into dir.
func programs(t *testing.T, dir string, mode os.FileMode, names ...string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!"), mode); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBinariesFromAssets(t *testing.T) {
	tests := []struct {
		name  string
		mode  os.FileMode
		files []string
		ok    bool
	}{
		{"both", 0o755, []string{"etcd", "kube-apiserver"}, true},
		{"no API server", 0o755, []string{"etcd"}, false},
		{"no etcd", 0o755, []string{"kube-apiserver"}, false},
		{"not executable", 0o644, []string{"etcd", "kube-apiserver"}, false},
		{"none", 0, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			programs(t, dir, tt.mode, tt.files...)
			t.Setenv(assetsEnv, dir)
			got, err := FindBinaries(t.Context(), Sources{}, nil)
			if (err == nil) != tt.ok {
				t.Fatalf("error = %v, want ok %t", err, tt.ok)
			}
			if err != nil && !strings.Contains(err.Error(), assetsEnv) {
				t.Errorf("%q does not name the variable", err)
			}
			if tt.ok && got.APIServer != filepath.Join(dir, "kube-apiserver") {
				t.Errorf("API server = %s", got.APIServer)
			}
		})
	}
}

// fakeSource puts both programs into the folder and counts its calls.
func fakeSource(t *testing.T, calls *atomic.Int32) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		calls.Add(1)
		programs(t, dir, 0o755, "etcd", "kube-apiserver")
		return nil
	}
}

// newCache returns an empty one that downloads nothing.
func newCache(t *testing.T, build func(context.Context, string) error) cache {
	return cache{
		dir:      filepath.Join(t.TempDir(), "cache", "key"),
		download: func(context.Context, string) error { return errDownloadsOff },
		build:    build,
		progress: io.Discard,
	}
}

func TestCacheIsFilledOnce(t *testing.T) {
	for _, source := range []string{"download", "build"} {
		t.Run(source, func(t *testing.T) {
			var calls atomic.Int32
			c := newCache(t, fakeSource(t, &calls))
			if source == "download" {
				c.download, c.build = c.build, nil
			}
			var group sync.WaitGroup
			for range 4 {
				group.Go(func() {
					if _, err := c.binaries(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if calls.Load() != 1 {
				t.Errorf("filled %d times, want once", calls.Load())
			}
		})
	}
}

func TestCacheRefusesHalfABuild(t *testing.T) {
	var calls atomic.Int32
	c := newCache(t, fakeSource(t, &calls))
	programs(t, c.dir, 0o755, "etcd")                                      // by hand, or a damaged disk
	programs(t, c.dir+".unfinished", 0o755, "etcd", "kube-apiserver", "x") // a killed build
	got, err := c.binaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 1 || got.Etcd != filepath.Join(c.dir, "etcd") {
		t.Errorf("%d builds, %+v, want one into %s", calls.Load(), got, c.dir)
	}
	absent(t, c.dir+".unfinished")
}

func absent(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", path, err)
		}
	}
}

func TestCacheKeepsNothingOfAFailedBuild(t *testing.T) {
	broken := errors.New("broken")
	tests := map[string]struct {
		build func(context.Context, string) error
		want  error
	}{
		"fails half-way": {func(_ context.Context, dir string) error {
			programs(t, dir, 0o755, "etcd", "kube-apiserver")
			return broken
		}, broken},
		"gives too little": {func(_ context.Context, dir string) error {
			programs(t, dir, 0o755, "etcd")
			return nil
		}, os.ErrNotExist},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := newCache(t, tt.build)
			if _, err := c.binaries(t.Context()); !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			absent(t, c.dir, c.dir+".unfinished")
		})
	}
}

func TestWaitForAnotherCanBeCanceled(t *testing.T) {
	building, release := make(chan struct{}), make(chan struct{})
	c := newCache(t, func(_ context.Context, dir string) error {
		close(building)
		<-release
		programs(t, dir, 0o755, "etcd", "kube-apiserver")
		return nil
	})
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := c.binaries(context.Background()); err != nil {
			t.Error(err)
		}
	})
	<-building
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var progress strings.Builder
	c.progress = &progress
	if _, err := c.binaries(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(progress.String(), "waiting") {
		t.Errorf("error = %v after %q, want canceled", err, progress.String())
	}
	close(release)
	group.Wait()
}

// newModule writes a module like the one that pins the control plane.
func newModule(t *testing.T, mod, sum string) string {
	t.Helper()
	dir := t.TempDir()
	mod = "module m\n\ngo 1.24\n\nrequire k8s.io/kubernetes v1.37.2\n" + mod
	for name, data := range map[string]string{"go.mod": mod, "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBuildCanceled(t *testing.T) {
	b, err := newBuilder(newModule(t, "", ""), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.run(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want canceled", err)
	}
}

func TestModuleMustPinKubernetes(t *testing.T) {
	dir := t.TempDir()
	if _, err := newBuilder(dir, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder without a module: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := newBuilder(dir, nil); err == nil || !strings.Contains(err.Error(), "k8s.io/kubernetes") {
		t.Errorf("a module that pins nothing: %v", err)
	}
}

func TestBuildKeyChangesWithTheModule(t *testing.T) {
	key := func(mod, sum string) string {
		b, err := newBuilder(newModule(t, mod, sum), nil)
		if err != nil {
			t.Fatal(err)
		}
		key, err := b.key(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	base := key("", "")
	if key("", "") != base {
		t.Error("the same module gives two keys")
	}
	if key("// x\n", "") == base || key("", "x") == base {
		t.Error("a changed module gives the same key")
	}
}

func TestLinkerFlags(t *testing.T) {
	got := linkerFlags("v1.37.2")
	for _, want := range []string{".gitVersion=v1.37.2", ".gitMajor=1 ", ".gitMinor=37"} {
		if !strings.Contains(got+" ", want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	o := &buildOutput{total: 4}
	for _, chunk := range []string{"go: downloading x v1\ninternal/a\nexam", "ple.com/b\n# example.com/c\nc.go:1:2: no such thing\n"} {
		if _, err := o.Write([]byte(chunk)); err != nil {
			t.Fatal(err)
		}
	}
	m := &meter{what: "building", state: o.state, started: time.Unix(0, 0)}
	if got, want := m.line(time.Unix(83, 0)), "building: 2 of 4 packages (50%), 1m23s"; got != want {
		t.Errorf("line = %q, want %q", got, want)
	}
	if got, want := o.messages(), "# example.com/c\nc.go:1:2: no such thing"; got != want {
		t.Errorf("messages = %q, want %q", got, want)
	}
}
