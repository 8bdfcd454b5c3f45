package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/aws-iam-authenticator/pkg/arn"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Config says what to start.
type Config struct {
	// Binaries come from [FindBinaries].
	Binaries Binaries
	// STS is the endpoint that verifies tokens, such as http://127.0.0.1:4566. It is
	// called only when a token arrives, so it may start later. A process has one at a
	// time for each partition of its clusters: from Start to Close, requests through
	// http.DefaultTransport to that partition's public STS hosts go there. Start before, and Close after, what else uses that transport.
	STS *url.URL
	// Authenticate, if set, says whose a bearer token is, in place of STS and the
	// access entries, for tests that are not about AWS: see package clustertest.
	Authenticate func(bearer string) (authenticationv1.UserInfo, error)
	// Intercept, if set, returns what answers the requests to a cluster's endpoint: a
	// handler that may hand them on to the API server's. Without it clients reach the
	// API server itself.
	Intercept func(spec Spec, apiserver http.Handler) http.Handler
	// Clusters are the emulated EKS clusters. The same name may occur once in each
	// account and region.
	Clusters []Spec
	// Dir is a new or empty folder for data, logs and keys. Empty means a temporary
	// one. Close removes it.
	Dir string
	// Logger is told about refused tokens. It may be nil.
	Logger *slog.Logger
}

// Spec describes one emulated EKS cluster.
type Spec struct {
	// Name, Account (12 digits) and Region identify the cluster, as on EKS.
	Name, Account, Region string
	// AccessEntries are the IAM principals that the cluster accepts.
	AccessEntries []AccessEntry
	// Objects are created when the cluster starts for the first time, in this order.
	// After a CustomResourceDefinition follows a wait until it is established.
	Objects []*unstructured.Unstructured
}

// ID is account/region/name.
func (s Spec) ID() string { return s.Account + "/" + s.Region + "/" + s.Name }

// namePattern is EKS's.
// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
var (
	namePattern    = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
)

func (s Spec) validate() error {
	switch {
	case !namePattern.MatchString(s.Name):
		return fmt.Errorf("cluster %q: not a name that EKS takes", s.Name)
	case !accountPattern.MatchString(s.Account):
		return fmt.Errorf("cluster %q: account %q is not 12 digits", s.Name, s.Account)
	case !regionPattern.MatchString(s.Region):
		return fmt.Errorf("cluster %q: %q is not a region", s.Name, s.Region)
	}
	for _, entry := range s.AccessEntries {
		if kind, _, err := arn.Canonicalize(entry.PrincipalARN); err != nil || kind != arn.ROLE && kind != arn.USER {
			return fmt.Errorf("cluster %q: access entry %q is not the ARN of a role or user", s.Name, entry.PrincipalARN)
		}
	}
	return nil
}

func (c Config) validate() error {
	if c.Authenticate == nil {
		if err := checkSTS(c.STS); err != nil {
			return err
		}
	}
	seen := map[string]bool{}
	for _, spec := range c.Clusters {
		if err := spec.validate(); err != nil {
			return err
		}
		if seen[spec.ID()] {
			return fmt.Errorf("cluster %s is there twice", spec.ID())
		}
		seen[spec.ID()] = true
	}
	return nil
}

// ControlPlane is one etcd with an API server for each cluster.
type ControlPlane struct {
	dir      string
	etcd     *program
	webhook  *webhook
	clusters []*Cluster
}

// Start starts everything and returns when every API server is ready and holds its
// Spec's objects. The context bounds the start only; what was started runs until
// Close. After an error nothing is left running.
func Start(ctx context.Context, config Config) (_ *ControlPlane, err error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	// controller-runtime, whose client creates the objects, complains on stderr about a
	// process that has not chosen its global logger within half a minute.
	log.SetLogger(logr.Discard())
	cp := &ControlPlane{}
	defer func() {
		if err != nil {
			err = errors.Join(err, cp.Close())
		}
	}()
	if cp.dir, err = makeDir(config.Dir); err != nil {
		return nil, err
	}
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	if cp.webhook, err = startWebhook(config, logger); err != nil {
		return nil, err
	}
	var etcdURL string
	if cp.etcd, etcdURL, err = startEtcd(ctx, config.Binaries.Etcd, cp.dir); err != nil {
		return nil, err
	}
	for _, spec := range config.Clusters {
		c, err := newCluster(config, spec, cp.dir, etcdURL, cp.webhook)
		if err != nil {
			return nil, fmt.Errorf("cluster %s: %w", spec.ID(), err)
		}
		cp.clusters = append(cp.clusters, c)
	}
	return cp, cp.startClusters(ctx)
}

// startClusters has as many API servers start at once as there are cores: a start
// is all computing, and more at once only make each one miss its time. Creating
// objects is mostly waiting, so that is not limited.
func (cp *ControlPlane) startClusters(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	cores := make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))
	for _, c := range cp.clusters {
		group.Go(func() error {
			cores <- struct{}{}
			err := c.firstStart(ctx)
			<-cores
			if err == nil {
				err = CreateObjects(ctx, c.AdminConfig(), c.Objects)
			}
			if err != nil {
				return fmt.Errorf("cluster %s: %w", c.ID(), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Clusters are in the order of the Config.
func (cp *ControlPlane) Clusters() []*Cluster { return cp.clusters }

// Close ends every process and removes the data. It may be called again.
func (cp *ControlPlane) Close() error {
	var group errgroup.Group
	for _, c := range cp.clusters {
		group.Go(c.Stop)
	}
	errs := []error{group.Wait()}
	if cp.etcd != nil {
		cp.etcd.Kill()
	}
	if cp.webhook != nil {
		errs = append(errs, cp.webhook.close())
	}
	if cp.dir != "" {
		errs = append(errs, os.RemoveAll(cp.dir))
	}
	return errors.Join(errs...)
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		dir, err := os.MkdirTemp("", "clusters-")
		if err != nil {
			return "", fmt.Errorf("make the data folder: %w", err)
		}
		return dir, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("the data folder %s is not empty", dir)
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// startEtcd starts one member, without fsync: its data need not outlive it.
func startEtcd(ctx context.Context, path, dir string) (*program, string, error) {
	var url string
	p, err := onFreePort(func(port string) (*program, error) {
		url = "http://" + net.JoinHostPort(loopback, port)
		return startProgram(ctx, &rest.Config{Host: url}, path, filepath.Join(dir, "etcd.log"),
			"--data-dir="+filepath.Join(dir, "etcd"),
			"--listen-client-urls="+url,
			"--advertise-client-urls="+url,
			"--listen-peer-urls=http://"+loopback+":0", // it has no peers
			"--unsafe-no-fsync",
			"--log-level=warn",
		)
	})
	return p, url, err
}
