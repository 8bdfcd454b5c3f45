package cluster

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptrace"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/remote"
	"sigs.k8s.io/controller-runtime/tools/setup-envtest/versions"
)

// errDownloadsOff is returned when the environment forbids downloads.
var errDownloadsOff = errors.New(indexEnv + " is " + indexOff)

// downloader gets both programs from the archives that envtest publishes.
type downloader struct {
	index    string        // the address of envtest's index, or off
	newest   string        // the Kubernetes version whose minor is the newest wanted
	patience time.Duration // how long a server may be silent before it answers
	progress io.Writer
}

// run downloads into dir. It fails where the archive's checksum is not the index's.
func (d downloader) run(ctx context.Context, dir string) error {
	if d.index == indexOff {
		return errDownloadsOff
	}
	if err := d.fetch(ctx, dir); err != nil {
		return fmt.Errorf("%s: %w", d.index, err)
	}
	return nil
}

func (d downloader) fetch(ctx context.Context, dir string) error {
	ctx, pulse := d.whileAnswering(ctx)
	defer pulse.stop()
	client := &remote.HTTPClient{Log: logr.Discard(), IndexURL: d.index}
	published, err := client.ListVersions(ctx)
	if err != nil {
		return err
	}
	release, archive, err := d.choose(published)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "*.tar.gz")
	if err != nil {
		return err
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }()
	meter := startMeter(d.progress, fmt.Sprintf("downloading kube-apiserver v%s and etcd", release), "", pulse.state)
	err = client.GetVersion(ctx, release, archive, io.MultiWriter(file, pulse)) // verifies the checksum
	meter.stop(err)
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return extract(file, dir)
}

// choose returns the newest release for this platform whose minor version is not
// newer than the wanted one.
func (d downloader) choose(newestFirst []versions.Set) (versions.Concrete, versions.PlatformItem, error) {
	wanted, err := version.ParseSemantic(d.newest)
	if err != nil {
		return versions.Concrete{}, versions.PlatformItem{}, err
	}
	minor := versions.PatchSelector{Major: int(wanted.Major()), Minor: int(wanted.Minor()), Patch: versions.AnyPoint}
	selector := versions.LessThanSelector{PatchSelector: minor, OrEquals: true}
	here := versions.Platform{OS: runtime.GOOS, Arch: runtime.GOARCH}
	for _, release := range newestFirst {
		i := slices.IndexFunc(release.Platforms, func(p versions.PlatformItem) bool { return p.Platform == here })
		if i >= 0 && selector.Matches(release.Version) {
			return release.Version, release.Platforms[i], nil
		}
	}
	return versions.Concrete{}, versions.PlatformItem{}, fmt.Errorf("it lists no archive of %s or older for %s", minor, here)
}

// extract writes the two programs of an archive, whatever folder they are in there.
func extract(archive io.Reader, dir string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Base(header.Name)
		if header.Typeflag != tar.TypeReg || name != "etcd" && name != "kube-apiserver" {
			continue
		}
		program, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
		if err != nil {
			return err
		}
		_, err = io.Copy(program, files)
		if err := errors.Join(err, program.Close()); err != nil {
			return err
		}
	}
}

// pulse counts the bytes that arrive, and ends the download when none do.
type pulse struct {
	bytes atomic.Int64
	stall time.Duration
	timer *time.Timer
	stop  context.CancelFunc
}

// errSilent is returned when a server is silent for too long.
var errSilent = errors.New("the server does not answer")

// whileAnswering returns a context that ends with errSilent: when a request has no
// answer for d.patience, redirections included, and when an answer that has begun
// stands still for six times as long.
func (d downloader) whileAnswering(ctx context.Context) (context.Context, *pulse) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pulse{stall: 6 * d.patience}
	p.timer = time.AfterFunc(d.patience, func() { cancel(errSilent) })
	p.stop = func() {
		p.timer.Stop()
		cancel(nil)
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { p.timer.Reset(d.patience) },
		GotFirstResponseByte: func() { p.timer.Reset(p.stall) },
	}), p
}

func (p *pulse) Write(data []byte) (int, error) {
	p.bytes.Add(int64(len(data)))
	p.timer.Reset(p.stall)
	return len(data), nil
}

func (p *pulse) state() string { return fmt.Sprintf("%d MB", p.bytes.Load()/1e6) }
