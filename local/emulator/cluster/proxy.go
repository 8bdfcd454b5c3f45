package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
)

// proxy stands before an API server, at the address that EKS gives, where requests
// are to be intercepted (see Config.Intercept). It ends TLS with certificates of
// the cluster's authority, so that client certificates do not come through.
type proxy struct {
	ca      *authority
	handler http.Handler
	address string // empty before the first start

	server *http.Server // nil when stopped
}

func newProxy(config Config, spec Spec, ca *authority, apiserver func() string) *proxy {
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "https", Host: apiserver()})
		},
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true},
		FlushInterval: -1, // the events of a watch, at once
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // the API server broke the connection: so does this
		},
	}
	return &proxy{ca: ca, handler: config.Intercept(spec, forward)}
}

// start listens, again at the same address.
func (p *proxy) start() error {
	server, err := p.ca.server()
	if err != nil {
		return err
	}
	address := p.address
	if address == "" {
		address = net.JoinHostPort(loopback, "0")
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen before the API server: %w", err)
	}
	server.Handler = p.handler
	p.address, p.server = listener.Addr().String(), server
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

func (p *proxy) stop() error {
	if p.server == nil {
		return nil
	}
	server := p.server
	p.server = nil
	return server.Close()
}
