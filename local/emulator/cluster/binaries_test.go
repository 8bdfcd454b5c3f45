package cluster

import (
	"context"
	"errors"
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
			got, err := FindBinaries(t.Context(), nil)
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

// fakeBuild puts both programs into the folder and counts its calls.
func fakeBuild(t *testing.T, calls *atomic.Int32) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		calls.Add(1)
		programs(t, dir, 0o755, "etcd", "kube-apiserver")
		return nil
	}
}

func TestBuilderBuildsOnce(t *testing.T) {
	var calls atomic.Int32
	b := builder{dir: filepath.Join(t.TempDir(), "cache", "key"), build: fakeBuild(t, &calls)}
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := b.binaries(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if calls.Load() != 1 {
		t.Errorf("%d builds, want 1", calls.Load())
	}
}

func TestBuilderRefusesHalfABuild(t *testing.T) {
	var calls atomic.Int32
	b := builder{dir: filepath.Join(t.TempDir(), "key"), build: fakeBuild(t, &calls)}
	programs(t, b.dir, 0o755, "etcd")                                      // by hand, or a damaged disk
	programs(t, b.dir+".unfinished", 0o755, "etcd", "kube-apiserver", "x") // a killed build
	got, err := b.binaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if calls.Load() != 1 || got.Etcd != filepath.Join(b.dir, "etcd") {
		t.Errorf("%d builds, %+v, want one into %s", calls.Load(), got, b.dir)
	}
	if _, err := os.Stat(b.dir + ".unfinished"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unfinished folder is still there: %v", err)
	}
}

func TestBuilderLeavesNothingOfAFailedBuild(t *testing.T) {
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
			b := builder{dir: filepath.Join(t.TempDir(), "key"), build: tt.build}
			if _, err := b.binaries(t.Context()); !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			for _, dir := range []string{b.dir, b.dir + ".unfinished"} {
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is there", dir)
				}
			}
		})
	}
}

func TestBuilderWaitCanBeCanceled(t *testing.T) {
	building, release := make(chan struct{}), make(chan struct{})
	b := builder{dir: filepath.Join(t.TempDir(), "key"), build: func(_ context.Context, dir string) error {
		close(building)
		<-release
		programs(t, dir, 0o755, "etcd", "kube-apiserver")
		return nil
	}}
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := b.binaries(context.Background()); err != nil {
			t.Error(err)
		}
	})
	<-building
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.binaries(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want canceled", err)
	}
	close(release)
	group.Wait()
}

func TestBuildCanceled(t *testing.T) {
	module, err := controlPlaneModule()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := build(ctx, module, t.TempDir(), &strings.Builder{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want canceled", err)
	}
}

func TestBuildKeyChangesWithTheModule(t *testing.T) {
	key := func(mod, sum string) string {
		dir := t.TempDir()
		for name, data := range map[string]string{"go.mod": "module m\n\ngo 1.24\n" + mod, "go.sum": sum} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		key, err := buildKey(t.Context(), dir)
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
	m := &meter{what: "building", total: 4, started: time.Unix(0, 0)}
	for _, chunk := range []string{"go: downloading x v1\ninternal/a\nexam", "ple.com/b\n# example.com/c\nc.go:1:2: no such thing\n"} {
		if _, err := m.Write([]byte(chunk)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := m.line(time.Unix(83, 0)), "building: 2 of 4 packages (50%), 1m23s"; got != want {
		t.Errorf("line = %q, want %q", got, want)
	}
	if got, want := m.messages(), "# example.com/c\nc.go:1:2: no such thing"; got != want {
		t.Errorf("messages = %q, want %q", got, want)
	}
}
