package kube_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
)

// countingServer speaks HTTP/2, as API servers do, and counts its connections.
type countingServer struct {
	*httptest.Server
	connections atomic.Int32
	closed      chan struct{} // closed when a connection has ended

	mu     sync.Mutex
	tokens []string
}

// authorizations returns the header of each request so far.
func (s *countingServer) authorizations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tokens)
}

func newCountingServer(t *testing.T) *countingServer {
	t.Helper()
	s := &countingServer{closed: make(chan struct{})}
	closed := sync.OnceFunc(func() { close(s.closed) })
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tokens = append(s.tokens, r.Header.Get("Authorization"))
		write(t, w, metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "topics", Kind: "Topic", Namespaced: true}}})
	}))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.connections.Add(1)
		case http.StateClosed:
			closed()
		}
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *countingServer) cluster() contract.Cluster {
	return contract.Cluster{Endpoint: s.URL, CA: caOf(s.Server)}
}

// invoke does what an invocation does: it makes a client and calls the cluster.
func invoke(t *testing.T, clusters *kube.Clusters, cluster contract.Cluster, token string) error {
	t.Helper()
	client, err := clusters.Client(target, cluster, token)
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Discover(t.Context(), refTo("orders"))
	return err
}

func (s *countingServer) expectConnections(t *testing.T, want int32, why string) {
	t.Helper()
	if got := s.connections.Load(); got != want {
		t.Errorf("%s: %d connections, want %d", why, got, want)
	}
}

// Invocations share a connection, also when no client of the one before is left;
// the token is each one's own.
func TestConnectionsAreHeld(t *testing.T) {
	server := newCountingServer(t)
	var clusters kube.Clusters
	for _, token := range []string{"first", "second"} {
		if err := invoke(t, &clusters, server.cluster(), token); err != nil {
			t.Fatal(err)
		}
		runtime.GC()
	}
	server.expectConnections(t, 1, "two invocations")
	if got, want := server.authorizations(), []string{"Bearer first", "Bearer second"}; !slices.Equal(got, want) {
		t.Errorf("authorized by %q, want %q", got, want)
	}
}

func TestConnectionsAreHeldForConcurrentUse(t *testing.T) {
	first, second := newCountingServer(t), newCountingServer(t)
	var clusters kube.Clusters
	var wait sync.WaitGroup
	for _, server := range []*countingServer{first, second} {
		call := func() {
			if err := invoke(t, &clusters, server.cluster(), "the-token"); err != nil {
				t.Error(err)
			}
		}
		call()
		for range 20 {
			wait.Go(call)
		}
	}
	wait.Wait()
	first.expectConnections(t, 1, "twenty invocations at once")
	second.expectConnections(t, 1, "twenty invocations at once")
}

// A connection that was verified against one CA says nothing to a cluster with
// another, even at the same endpoint.
func TestConnectionsAreHeldByCA(t *testing.T) {
	server := newCountingServer(t)
	var clusters kube.Clusters
	if err := invoke(t, &clusters, server.cluster(), "the-token"); err != nil {
		t.Fatal(err)
	}
	other := contract.Cluster{Endpoint: server.URL, CA: base64.StdEncoding.EncodeToString(otherCA(t))}
	err := invoke(t, &clusters, other, "the-token")
	if fault.NameOf(err) != fault.ClusterUnreachable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
	if got := len(server.authorizations()); got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}

// The connections to the cluster that was called the longest ago are closed.
func TestConnectionsHeldAreBounded(t *testing.T) {
	const bound = 32
	var clusters kube.Clusters
	servers := make([]*countingServer, bound+1)
	for i := range servers {
		servers[i] = newCountingServer(t)
	}
	call := func(server *countingServer) {
		t.Helper()
		if err := invoke(t, &clusters, server.cluster(), "the-token"); err != nil {
			t.Fatal(err)
		}
	}
	oldest, used, newest := servers[1], servers[0], servers[bound]
	for _, server := range servers[:bound] {
		call(server)
	}
	call(used)
	call(newest)
	select {
	case <-oldest.closed:
	case <-time.After(10 * time.Second):
		t.Fatal("too many connections are held")
	}
	for _, server := range []*countingServer{used, newest, oldest} {
		call(server)
	}
	used.expectConnections(t, 1, "a cluster that was called again")
	newest.expectConnections(t, 1, "the last cluster")
	oldest.expectConnections(t, 2, "the cluster that was called the longest ago")
}

// balancer forwards connections to a server. Those that it is told to forget end
// with a reset as soon as the client sends on them: so do connections that a load
// balancer dropped while the sandbox was frozen.
type balancer struct {
	net.Listener
	server string

	mu    sync.Mutex
	flows []*flow
}

type flow struct {
	client    *net.TCPConn
	server    net.Conn
	forgotten atomic.Bool
}

func newBalancer(t *testing.T, server string) *balancer {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	b := &balancer{Listener: listener, server: server}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			b.forward(t.Context(), client.(*net.TCPConn))
		}
	}()
	return b
}

func (b *balancer) forward(ctx context.Context, client *net.TCPConn) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", b.server)
	if err != nil {
		_ = client.Close() // the call fails, and says so
		return
	}
	f := &flow{client: client, server: server}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flows = append(b.flows, f)
	go func() { _, _ = io.Copy(f, server) }() // both end with the flow
	go func() { _, _ = io.Copy(server, f) }()
}

func (b *balancer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.flows {
		f.forgotten.Store(true)
	}
}

func (f *flow) Write(p []byte) (int, error) { return f.client.Write(p) }

func (f *flow) Read(p []byte) (int, error) {
	n, err := f.client.Read(p)
	if f.forgotten.Load() || err != nil {
		_ = f.client.SetLinger(0) // a reset, if it is still open
		return 0, errors.Join(io.EOF, f.client.Close(), f.server.Close())
	}
	return n, nil
}

// What a function asks first is asked again on a new connection where the one
// that was held has ended unnoticed; a write is not.
func TestConnectionThatEndedUnnoticed(t *testing.T) {
	server := newCountingServer(t)
	between := newBalancer(t, server.Listener.Addr().String())
	cluster := server.cluster()
	cluster.Endpoint = "https://" + between.Addr().String()
	var clusters kube.Clusters
	for _, why := range []string{"the first call", "a call after a reset"} {
		if err := invoke(t, &clusters, cluster, "the-token"); err != nil {
			t.Errorf("%s: %v", why, err)
		}
		between.forget()
	}
	server.expectConnections(t, 2, "a connection and the one in its place")
	client, err := clusters.Client(target, cluster, "the-token")
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Review(t.Context(), refTo("orders"), topics, []string{"get"}); fault.NameOf(err) != fault.ClusterUnreachable {
		t.Errorf("a write: %v, want %s", err, fault.ClusterUnreachable)
	}
	if got := len(server.authorizations()); got != 2 {
		t.Errorf("%d requests reached the server, want 2", got)
	}
}

func TestClientRefuses(t *testing.T) {
	valid := base64.StdEncoding.EncodeToString(otherCA(t))
	tests := []struct {
		name    string
		cluster contract.Cluster
		says    string
	}{
		{"a token in clear text", contract.Cluster{Endpoint: "http://c", CA: valid}, "not an https URL"},
		{"an endpoint without a scheme", contract.Cluster{Endpoint: "c.eks.amazonaws.com", CA: valid}, "not an https URL"},
		{"no CA", contract.Cluster{Endpoint: "https://c"}, "no certificate"},
		{"a CA that is not base64", contract.Cluster{Endpoint: "https://c", CA: "-----BEGIN"}, "not base64"},
		{"a CA that is not PEM", contract.Cluster{Endpoint: "https://c", CA: "Y2E="}, "no certificate"},
	}
	for _, test := range tests {
		_, err := new(kube.Clusters).Client(target, test.cluster, "the-token")
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.HasPrefix(err.Error(), target.String()) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.says)
		}
	}
}

// A server that cannot prove to be the cluster is not called.
func TestTLSIsVerified(t *testing.T) {
	c := servers.Clusters(t)[0]
	cluster := contract.Cluster{Endpoint: c.Endpoint(), CA: base64.StdEncoding.EncodeToString(otherCA(t))}
	err := invoke(t, new(kube.Clusters), cluster, servers.Token(t, "jane", deployers))
	expectFault(t, "the CA of another cluster", err, fault.ClusterUnreachable, "certificate signed by unknown authority")
}

// An API server has no business to send us elsewhere: the token would go along, to
// whatever the functions' network reaches.
func TestRedirectsAreNotFollowed(t *testing.T) {
	var reached atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewTLSServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	client, err := new(kube.Clusters).Client(target, contract.Cluster{Endpoint: server.URL, CA: caOf(server)}, "the-token")
	if err != nil {
		t.Fatal(err)
	}
	for what, call := range map[string]func() error{
		"a read":  func() error { _, err := client.Discover(t.Context(), refTo("orders")); return err },
		"a write": func() error { return client.Review(t.Context(), refTo("orders"), topics, []string{"get"}) },
		"a watch": func() error {
			watch := client.Watch(refTo("orders"), topics, "1")
			defer watch.Stop()
			_, _, err := watch.Next(t.Context(), time.Second)
			return err
		},
	} {
		if err := call(); fault.NameOf(err) != fault.ClusterError {
			t.Errorf("%s: %v, want %s", what, err, fault.ClusterError)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("%d requests went where the API server pointed to", n)
	}
}

// otherCA makes the CA certificate of some other cluster.
func otherCA(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "other"}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
