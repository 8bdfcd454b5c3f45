package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// Cluster is one emulated EKS cluster: a real API server.
type Cluster struct {
	Spec

	// CAData is the PEM certificate of the cluster's authority. EKS gives it base64
	// encoded once more.
	CAData []byte

	binary string
	dir    string
	etcd   string
	hook   string // the webhook's address for this cluster
	admin  keyPair
	proxy  keyPair // of an authenticating proxy

	mu       sync.Mutex // guards what follows
	endpoint string     // of the API server itself
	front    *proxy     // nil: clients reach the API server itself
	version  string
	program  *program // nil when stopped
}

// newCluster makes the cluster's keys and files; firstStart brings it up.
func newCluster(config Config, spec Spec, dir, etcd string, hook *webhook) (*Cluster, error) {
	ca, err := newAuthority("kubernetes") // as on EKS
	if err != nil {
		return nil, err
	}
	admin, err := ca.clientPair("admin", "system:masters")
	if err != nil {
		return nil, err
	}
	proxyCA, err := newAuthority("front-proxy")
	if err != nil {
		return nil, err
	}
	proxy, err := proxyCA.clientPair("front-proxy-client")
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Spec: spec, CAData: ca.certPEM,
		binary: config.Binaries.APIServer, etcd: etcd, hook: hook.url(spec), admin: admin, proxy: proxy,
		dir: filepath.Join(dir, strings.ReplaceAll(spec.ID(), "/", "_")),
	}
	if config.Intercept != nil {
		c.front = newProxy(config, spec, ca, c.apiserver)
	}
	return c, c.writeFiles(ca, hook.ca, proxyCA.certPEM)
}

// Endpoint is the cluster's address, https://127.0.0.1:port. It stays the same over
// Stop and Start.
func (c *Cluster) Endpoint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.front != nil {
		return "https://" + c.front.address
	}
	return c.endpoint
}

// apiserver is the API server's own host and port.
func (c *Cluster) apiserver() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.TrimPrefix(c.endpoint, "https://")
}

// Version is the Kubernetes version as EKS's DescribeCluster writes it, such as
// "1.37".
func (c *Cluster) Version() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// AdminConfig is for a client that may do everything. It signs in with a client
// certificate as user "admin", so it works without STS, and its requests are not
// intercepted.
func (c *Cluster) AdminConfig() *rest.Config { return c.adminConfig("https://" + c.apiserver()) }

func (c *Cluster) adminConfig(endpoint string) *rest.Config {
	return &rest.Config{
		Host:            endpoint,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.CAData, CertData: c.admin.cert, KeyData: c.admin.key},
		QPS:             -1, // the server is ours, and tests should not wait
	}
}

// Stop ends the API server, as if the cluster were down: connections are refused.
// Stopping a stopped cluster is no error.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.front != nil {
		err = c.front.stop()
	}
	if c.program != nil {
		c.program.Kill()
		c.program = nil
	}
	return err
}

// Start brings a stopped cluster up again, with its objects, at the same endpoint,
// and returns when it is ready. Starting a running cluster is an error.
func (c *Cluster) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.program != nil {
		return errors.New("the cluster runs already")
	}
	p, err := c.startAPIServer(ctx, c.endpoint)
	if err != nil {
		return err
	}
	c.program = p
	return c.startProxy()
}

func (c *Cluster) startProxy() error {
	if c.front == nil {
		return nil
	}
	return c.front.start()
}

// firstStart finds the cluster's port and asks for its version.
func (c *Cluster) firstStart(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := onFreePort(func(port string) (*program, error) {
		c.endpoint = "https://" + net.JoinHostPort(loopback, port)
		return c.startAPIServer(ctx, c.endpoint)
	})
	if err != nil {
		return err
	}
	c.program = p
	client, err := discovery.NewDiscoveryClientForConfig(c.adminConfig(c.endpoint))
	if err != nil {
		return err
	}
	info, err := client.ServerVersion()
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	c.version = info.Major + "." + info.Minor
	return c.startProxy()
}

func (c *Cluster) startAPIServer(ctx context.Context, endpoint string) (*program, error) {
	_, port, _ := strings.Cut(endpoint, loopback+":")
	return startProgram(ctx, c.adminConfig(endpoint), c.binary, c.file("kube-apiserver.log"), c.arguments(port)...)
}

func (c *Cluster) file(name string) string { return filepath.Join(c.dir, name) }
