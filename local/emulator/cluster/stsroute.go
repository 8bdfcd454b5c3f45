package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/crossapply/crossapply/local/emulator/partition"
)

// The verifier of aws-iam-authenticator always calls the real regional STS
// (https://sts.<region>.amazonaws.com, or .amazonaws.com.cn) through
// [http.DefaultTransport]: neither is an option of it. To verify against the local
// STS without changing the verifier, the route below lets exactly those hosts end
// elsewhere.
//
// The other way would be a process of its own for the webhook, with HTTPS_PROXY
// set: that needs a further program, a proxy that ends TLS under the name of
// sts.<region>.amazonaws.com, and a root certificate trusted by that process.
// One function in this process is less to get wrong, at the price of a process
// having one local STS at a time for each partition, which routeSTS enforces.

// stsRoutes says where STS requests of this process go, by the partition of their
// host. It is package state because the transport that it changes is the process's.
var stsRoutes struct {
	sync.Mutex
	byPartition map[string]*stsRoute
	original    http.RoundTripper
}

type stsRoute struct {
	to    url.URL
	users int
}

// routeSTS sends requests for the public STS hosts of the partition of that name that
// go through http.DefaultTransport to the address to, over its scheme, with path, query and
// Host header unchanged: the signature covers them. All other requests go as
// before. The returned function undoes it. A second call with the same address
// shares the route; with another address it is an error.
func routeSTS(name string, to *url.URL) (undo func(), err error) {
	stsRoutes.Lock()
	defer stsRoutes.Unlock()
	if len(stsRoutes.byPartition) == 0 {
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
		routed.RegisterProtocol("https", stsTransport{local: &http.Transport{}, others: original})
		stsRoutes.byPartition, stsRoutes.original, http.DefaultTransport = map[string]*stsRoute{}, original, routed
	}
	route := stsRoutes.byPartition[name]
	if route == nil {
		route = &stsRoute{to: *to}
		stsRoutes.byPartition[name] = route
	}
	if route.to != *to {
		return nil, fmt.Errorf("this process verifies tokens of partition %s with the STS at %s already, and cannot with %s too", name, &route.to, to)
	}
	route.users++
	return sync.OnceFunc(func() { leaveSTSRoute(name) }), nil
}

func leaveSTSRoute(name string) {
	stsRoutes.Lock()
	defer stsRoutes.Unlock()
	route := stsRoutes.byPartition[name]
	if route.users--; route.users > 0 {
		return
	}
	delete(stsRoutes.byPartition, name)
	if len(stsRoutes.byPartition) == 0 {
		http.DefaultTransport = stsRoutes.original
	}
}

// localSTS returns where requests for a host go, if it is the STS of a partition
// that has a route.
func localSTS(host string) (to url.URL, ok bool) {
	rest, found := strings.CutPrefix(host, "sts.")
	region, domain, _ := strings.Cut(rest, ".")
	its := partition.Of(region)
	if !found || domain != its.Domain && rest != its.Domain { // the latter: the global endpoint
		return url.URL{}, false
	}
	stsRoutes.Lock()
	defer stsRoutes.Unlock()
	route := stsRoutes.byPartition[its.Name]
	if route == nil {
		return url.URL{}, false
	}
	return route.to, true
}

// stsTransport handles the https requests of the transport it is registered with.
type stsTransport struct{ local, others http.RoundTripper }

func (t stsTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	to, ok := localSTS(req.URL.Hostname())
	if !ok {
		return t.others.RoundTrip(req)
	}
	local := req.Clone(req.Context())
	local.Host = req.URL.Host
	local.URL.Scheme, local.URL.Host = to.Scheme, to.Host
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
