package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// The verifier of aws-iam-authenticator always calls the real regional STS
// (https://sts.<region>.amazonaws.com) through [http.DefaultTransport]: neither
// is an option of it. To verify against the local STS without changing the
// verifier, the route below lets exactly those hosts end elsewhere.
//
// The other way would be a process of its own for the webhook, with HTTPS_PROXY
// set: that needs a further program, a proxy that ends TLS under the name of
// sts.<region>.amazonaws.com, and a root certificate trusted by that process.
// One function in this process is less to get wrong, at the price of a process
// having one local STS at a time, which routeSTS enforces.

// stsRoute says where STS requests of this process go. It is package state because
// the transport that it changes is the process's.
var stsRoute struct {
	sync.Mutex
	to       url.URL
	users    int
	original http.RoundTripper
}

// routeSTS sends requests for STS's public hosts that go through
// http.DefaultTransport to the address to, over its scheme, with path, query and
// Host header unchanged: the signature covers them. All other requests go as
// before. The returned function undoes it. A second call with the same address
// shares the route; with another address it is an error.
func routeSTS(to *url.URL) (undo func(), err error) {
	stsRoute.Lock()
	defer stsRoute.Unlock()
	if stsRoute.users == 0 {
		original, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			return nil, fmt.Errorf("http.DefaultTransport is a %T: cannot route STS through it", http.DefaultTransport)
		}
		// A clone, so that the value stays the *http.Transport that other code may
		// assert it to be, and so that undoing it is one assignment.
		routed := original.Clone()
		// HTTP/2 would claim https for itself; the original still speaks it.
		routed.Protocols = new(http.Protocols)
		routed.Protocols.SetHTTP1(true)
		routed.RegisterProtocol("https", stsTransport{to: *to, local: &http.Transport{}, others: original})
		stsRoute.to, stsRoute.original, http.DefaultTransport = *to, original, routed
	}
	if stsRoute.to != *to {
		return nil, fmt.Errorf("this process verifies tokens with the STS at %s already, and cannot with %s too", &stsRoute.to, to)
	}
	stsRoute.users++
	return sync.OnceFunc(leaveSTSRoute), nil
}

func leaveSTSRoute() {
	stsRoute.Lock()
	defer stsRoute.Unlock()
	if stsRoute.users--; stsRoute.users == 0 {
		http.DefaultTransport = stsRoute.original
	}
}

// stsTransport handles the https requests of the transport it is registered with.
type stsTransport struct {
	to            url.URL
	local, others http.RoundTripper
}

func (t stsTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	host := req.URL.Hostname()
	if !strings.HasPrefix(host, "sts.") || !strings.HasSuffix(host, ".amazonaws.com") {
		return t.others.RoundTrip(req)
	}
	local := req.Clone(req.Context())
	local.Host = req.URL.Host
	local.URL.Scheme, local.URL.Host = t.to.Scheme, t.to.Host
	return t.local.RoundTrip(local)
}

// checkSTS refuses an address that could not be an STS endpoint.
func checkSTS(to *url.URL) error {
	switch {
	case to == nil:
		return errors.New("the address of the STS is missing")
	case to.Scheme != "http" && to.Scheme != "https", to.Host == "":
		return fmt.Errorf("the address of the STS is %q: want http://host:port", to)
	}
	return nil
}
