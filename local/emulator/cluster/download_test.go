package cluster

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/tools/setup-envtest/versions"
)

var archiveName = "envtest-v1.37.5-" + runtime.GOOS + "-" + runtime.GOARCH + ".tar.gz"

// newArchive packs files as envtest does: in a folder, among other things.
func newArchive(t *testing.T, names ...string) []byte {
	t.Helper()
	var data bytes.Buffer
	zipper := gzip.NewWriter(&data)
	archive := tar.NewWriter(zipper)
	for _, name := range names {
		content := "#!" + name
		header := &tar.Header{Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zipper.Close()); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// publisher serves an index at / that names one archive.
type publisher struct {
	hash    string
	archive http.HandlerFunc
}

func newPublisher(data []byte) publisher {
	return publisher{
		hash:    fmt.Sprintf("%x", sha512.Sum512(data)),
		archive: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) },
	}
}

func (p publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		p.archive(w, r)
		return
	}
	_, _ = fmt.Fprintf(w, "releases:\n  v1.37.5:\n    %s: {hash: %s, selfLink: \"http://%s/archive\"}\n", archiveName, p.hash, r.Host)
}

// silent accepts requests and never answers.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// half begins to answer.
func half(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte("half"))
	_ = http.NewResponseController(w).Flush()
	silent(w, r)
}

func serve(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// downloading returns an empty cache that asks the index at address, and counts builds.
func downloading(t *testing.T, address string, builds *atomic.Int32) (cache, *strings.Builder) {
	t.Helper()
	progress := &strings.Builder{}
	c := newCache(t, fakeSource(t, builds))
	d := downloader{index: address, newest: "v1.37.2", patience: time.Minute, progress: progress}
	c.download, c.progress = d.run, progress
	return c, progress
}

func TestDownload(t *testing.T) {
	var builds atomic.Int32
	published := newPublisher(newArchive(t, "kubectl", "etcd", "kube-apiserver"))
	c, progress := downloading(t, serve(t, published), &builds)
	found, err := c.binaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if builds.Load() != 0 || !strings.Contains(progress.String(), "downloading kube-apiserver v1.37.5 and etcd: done") {
		t.Errorf("%d builds, progress %q", builds.Load(), progress)
	}
	for path, want := range map[string]string{found.Etcd: "#!etcd", found.APIServer: "#!kube-apiserver"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	if files, err := os.ReadDir(c.dir); err != nil || len(files) != 2 {
		t.Errorf("the cache holds %v, %v", files, err)
	}
}

// TestNothingToDownload looks at what follows: a build, and a line that says why.
func TestNothingToDownload(t *testing.T) {
	good := newPublisher(newArchive(t, "etcd", "kube-apiserver"))
	with := func(change func(*publisher)) http.Handler {
		p := good
		change(&p)
		return p
	}
	tests := map[string]struct {
		server http.Handler
		why    string
	}{
		"another checksum": {
			with(func(p *publisher) { p.hash = strings.Repeat("0", 128) }),
			"checksum mismatch for " + archiveName,
		},
		"a damaged archive": {
			with(func(p *publisher) { p.archive = newPublisher([]byte("#!etcd")).archive }),
			"checksum mismatch for " + archiveName,
		},
		"a short archive": {
			with(func(p *publisher) {
				p.archive = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Length", "100000")
					good.archive(w, r)
				}
			}),
			"unexpected EOF",
		},
		"an archive without etcd": {newPublisher(newArchive(t, "kube-apiserver")), "etcd: no such file"},
		"not an archive":          {newPublisher([]byte("#!etcd")), "EOF"},
		"no index":                {http.NotFoundHandler(), "404"},
		"no archive":              {with(func(p *publisher) { p.archive = http.NotFound }), "404"},
		"not an index":            {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }), "unmarshal"},
		"an empty index":          {http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "no archive of 1.37.* or older for " + runtime.GOOS},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var builds atomic.Int32
			c, progress := downloading(t, serve(t, tt.server), &builds)
			expectBuild(t, c, &builds)
			if !strings.Contains(progress.String(), "nothing downloaded: ") || !strings.Contains(progress.String(), tt.why) {
				t.Errorf("progress %q, want %q", progress, tt.why)
			}
		})
	}
}

func expectBuild(t *testing.T, c cache, builds *atomic.Int32) {
	t.Helper()
	found, err := c.binaries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(found.Etcd); builds.Load() != 1 || err != nil || string(content) != "#!" {
		t.Errorf("%d builds, etcd is %q, %v", builds.Load(), content, err)
	}
	absent(t, c.dir+".unfinished")
}

func TestSilentServers(t *testing.T) {
	noArchive, halfAnArchive := newPublisher(nil), newPublisher(nil)
	noArchive.archive = silent
	halfAnArchive.archive = half
	tests := map[string]http.Handler{"at the index": http.HandlerFunc(silent), "at the archive": noArchive, "half-way": halfAnArchive}
	for name, server := range tests {
		t.Run(name, func(t *testing.T) {
			var builds atomic.Int32
			c, progress := downloading(t, "", &builds)
			d := downloader{index: serve(t, server), newest: "v1.37.2", patience: 100 * time.Millisecond, progress: progress}
			c.download = d.run
			expectBuild(t, c, &builds)
			if !strings.Contains(progress.String(), errSilent.Error()) {
				t.Errorf("progress %q, want %q", progress, errSilent)
			}
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	var builds atomic.Int32
	c, progress := downloading(t, server.URL, &builds)
	expectBuild(t, c, &builds)
	if !strings.Contains(progress.String(), "connection refused") {
		t.Errorf("progress %q", progress)
	}
}

func TestDownloadsOff(t *testing.T) {
	var builds atomic.Int32
	c, progress := downloading(t, indexOff, &builds)
	expectBuild(t, c, &builds)
	if progress.Len() > 0 {
		t.Errorf("progress %q", progress)
	}
}

func TestDownloadCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	published := newPublisher(newArchive(t, "etcd", "kube-apiserver"))
	published.archive = func(w http.ResponseWriter, r *http.Request) {
		time.AfterFunc(10*time.Millisecond, cancel)
		half(w, r)
	}
	var builds atomic.Int32
	c, _ := downloading(t, serve(t, published), &builds)
	if _, err := c.binaries(ctx); !errors.Is(err, context.Canceled) || builds.Load() != 0 {
		t.Errorf("error = %v after %d builds, want canceled", err, builds.Load())
	}
	absent(t, c.dir, c.dir+".unfinished")
}

func TestFindBinariesDownloadsOnce(t *testing.T) {
	server := httptest.NewServer(newPublisher(newArchive(t, "etcd", "kube-apiserver")))
	t.Setenv(assetsEnv, "")
	t.Setenv(indexEnv, server.URL)
	sources := Sources{Cache: t.TempDir(), Module: newModule(t, "", "")}
	first, err := FindBinaries(t.Context(), sources, nil)
	server.Close()
	if err != nil {
		t.Fatal(err)
	}
	second, err := FindBinaries(t.Context(), sources, nil)
	if err != nil || second != first || !strings.HasPrefix(first.Etcd, sources.Cache+string(filepath.Separator)) {
		t.Errorf("found %v, and then %v, %v", first, second, err)
	}
}

func TestChoose(t *testing.T) {
	here := versions.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	release := func(minor, patch int, platform versions.Platform) versions.Set {
		return versions.Set{
			Version:   versions.Concrete{Major: 1, Minor: minor, Patch: patch},
			Platforms: []versions.PlatformItem{{Platform: versions.Platform{OS: "plan9", Arch: "mips"}}, {Platform: platform}},
		}
	}
	other := versions.Platform{OS: "plan9", Arch: runtime.GOARCH}
	tests := map[string]struct {
		published []versions.Set // newest first
		want      string         // empty: none
	}{
		"the newest patch":      {[]versions.Set{release(38, 0, here), release(37, 5, here), release(37, 1, here)}, "1.37.5"},
		"older than the pinned": {[]versions.Set{release(37, 0, here), release(36, 9, here)}, "1.37.0"},
		"the minor before":      {[]versions.Set{release(38, 0, here), release(36, 2, here), release(35, 9, here)}, "1.36.2"},
		"not for this platform": {[]versions.Set{release(37, 5, other), release(37, 1, here)}, "1.37.1"},
		"only newer ones":       {[]versions.Set{release(38, 0, here)}, ""},
		"nothing":               {nil, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, item, err := downloader{newest: "v1.37.2"}.choose(tt.published)
			switch {
			case tt.want == "" && err == nil:
				t.Errorf("chose %s", got)
			case tt.want != "" && (err != nil || got.String() != tt.want || item.Platform != here):
				t.Errorf("chose %s for %s, %v, want %s", got, item, err, tt.want)
			}
		})
	}
}
