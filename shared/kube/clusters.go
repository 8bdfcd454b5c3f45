package kube

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/shared/contract"
)

// Clusters holds the connections of a sandbox to the clusters that it called
// last, so that the next invocation for one of them needs no new TCP and TLS
// handshake. client-go's own cache does not serve: it forgets a transport when
// the last client that uses it is collected as garbage.
//
// The zero value is ready to use. It is safe for concurrent use, and meant to
// live as long as its sandbox.
type Clusters struct {
	mu   sync.Mutex
	held []held // the one used last comes last
}

// held is the connections to one cluster: those to another endpoint or with
// another CA are never used for it.
type held struct {
	endpoint, ca string
	transport    *http.Transport
}

// maxHeld bounds the clusters whose connections are held: a sandbox may see ten
// thousand in a row, each of them once.
const maxHeld = 32

// Client returns a client for a cluster with a bearer token. It does not call
// the cluster. TLS is always verified against the cluster's CA. The token is the
// client's alone: clients for one cluster share connections, whatever their token.
func (c *Clusters) Client(target contract.Target, cluster contract.Cluster, token string) (*Client, error) {
	connect := func(err error) error {
		return fmt.Errorf("%s: connect to %s: %w", target, cluster.Endpoint, err)
	}
	transport, err := c.transport(cluster)
	if err != nil {
		return nil, connect(err)
	}
	config := dynamic.ConfigFor(&rest.Config{
		Host:        cluster.Endpoint,
		Transport:   transport,
		BearerToken: token,
		UserAgent:   "crossapply",
		// A handful of calls per invocation: the API server's own priority and
		// fairness is the limit that counts.
		QPS: -1,
	})
	caller, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, connect(err)
	}
	// An API server does not redirect. One that did could send us, with the token, to
	// whatever else the function's network reaches.
	caller.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, caller)
	if err != nil {
		return nil, connect(err)
	}
	return &Client{target: target, dynamic: dynamic.New(client), rest: client}, nil
}

func (c *Clusters) transport(cluster contract.Cluster) (*http.Transport, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.held, func(h held) bool { return h.endpoint == cluster.Endpoint && h.ca == cluster.CA })
	if i >= 0 {
		found := c.held[i]
		c.held = append(slices.Delete(c.held, i, i+1), found)
		return found.transport, nil
	}
	transport, err := newTransport(cluster)
	if err != nil {
		return nil, err
	}
	if len(c.held) == maxHeld {
		c.held[0].transport.CloseIdleConnections()
		c.held = slices.Delete(c.held, 0, 1)
	}
	c.held = append(c.held, held{endpoint: cluster.Endpoint, ca: cluster.CA, transport: transport})
	return transport, nil
}

// Lambda freezes a sandbox between invocations, for minutes, and a frozen client
// does not learn that a connection has ended. So:
//
//   - A connection that was idle for idleTimeout is not used again. net/http
//     compares the time of day, which goes on while the sandbox is frozen. The
//     load balancer in front of an EKS API server drops a connection that is idle
//     for 350 seconds.
//     https://docs.aws.amazon.com/elasticloadbalancing/latest/network/network-load-balancers.html#connection-idle-timeout
//   - A connection that ended sooner is found out by the first request. Each
//     function reads before it writes, and client-go sends a GET again, on a new
//     connection, when the old one was reset. It does not send a write again, nor
//     does net/http (a PATCH may have been done): such an error goes to the
//     workflow's Retry.
//   - A connection whose other end is silent is given up after pingAfter and
//     pingTimeout, in time for a GET that is no watch to be sent again within
//     requestTimeout. client-go's own transport waits 45 seconds for that.
const (
	idleTimeout = time.Minute
	pingAfter   = 5 * time.Second
	pingTimeout = 3 * time.Second
)

func newTransport(cluster contract.Cluster) (*http.Transport, error) {
	// The bearer token goes with every request.
	if endpoint, err := url.Parse(cluster.Endpoint); err != nil || endpoint.Scheme != "https" {
		return nil, errors.New("the endpoint is not an https URL")
	}
	ca, err := base64.StdEncoding.DecodeString(cluster.CA)
	if err != nil {
		return nil, fmt.Errorf("the cluster's CA data is not base64: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the cluster's CA data holds no certificate in PEM")
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
		TLSHandshakeTimeout: requestTimeout,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		IdleConnTimeout:     idleTimeout,
		ForceAttemptHTTP2:   true,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}, nil
}
