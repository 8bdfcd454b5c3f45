package cluster

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/local/emulator/partition"
)

// FleetConfig says which virtual clusters there are, and on which API servers.
type FleetConfig struct {
	// Servers are the running API servers that the virtual clusters share, evenly. They
	// hold what all have in common: CRDs, RBAC and other objects that are not in a
	// namespace.
	Servers []*Cluster
	// Clusters are the virtual clusters, as many as 10,000 on one machine. Their Objects
	// are namespaces only; one is made at the first request that names it.
	Clusters []Spec
	// STS, Authenticate, Intercept and Logger are as in [Config].
	STS          *url.URL
	Authenticate func(bearer string) (authenticationv1.UserInfo, error)
	Intercept    func(spec Spec, apiserver http.Handler) http.Handler
	Logger       *slog.Logger
}

func (c FleetConfig) validate() error {
	if len(c.Servers) == 0 {
		return errors.New("a fleet needs an API server")
	}
	if len(c.Clusters) > maxVirtual {
		return fmt.Errorf("%d virtual clusters are more than %d", len(c.Clusters), maxVirtual)
	}
	for _, spec := range c.Clusters {
		for _, object := range spec.Objects {
			if object.GetAPIVersion() != "v1" || object.GetKind() != "Namespace" {
				return fmt.Errorf("virtual cluster %s: %s %s is not a namespace", spec.ID(), object.GetKind(), object.GetName())
			}
		}
	}
	return Config{STS: c.STS, Authenticate: c.Authenticate, Clusters: c.Clusters}.validate()
}

// Fleet serves many virtual clusters over a few API servers, at one address.
//
// A virtual cluster is to its clients what a [Cluster] is: it has an endpoint, a
// CA, access entries and objects of its own. On the API server each of its
// namespaces has another name, which requests and answers are translated to and
// from; RBAC, admission and storage are the API server's. What differs:
//
//   - The endpoint has a path, and all of a fleet have one certificate authority.
//   - Objects that are not in a namespace, other than namespaces themselves, are
//     shared by the virtual clusters of an API server.
//   - A namespace's name may have 54 characters at most.
//   - Namespaces that an object names elsewhere than in its metadata, such as the
//     subjects of a RoleBinding, are not translated, nor are JSON patches and label
//     selectors.
//   - Answers are JSON, also for a client that would rather have another encoding.
type Fleet struct {
	// CAData is the PEM certificate of the authority of all endpoints.
	CAData []byte

	config   FleetConfig
	server   *http.Server
	address  string
	secret   string // in the tokens of admins
	byID     map[string]*Virtual
	clusters []*Virtual
	backends []*backend
	users    *utilcache.Expiring // authenticationv1.UserInfo by cluster and bearer token
	undo     []func()
}

// Virtual is one cluster of a Fleet.
type Virtual struct {
	Spec

	fleet   *Fleet
	backend *backend
	names   translation

	mu   sync.Mutex
	made map[string]bool // namespaces that are there for certain
}

// maxVirtual is how many prefixes of namespaces there are.
const maxVirtual = 36 * 36 * 36

// StartFleet serves the virtual clusters until Close. The API servers outlive it.
func StartFleet(config FleetConfig) (_ *Fleet, err error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	ca, err := newAuthority("kubernetes")
	if err != nil {
		return nil, err
	}
	f := &Fleet{CAData: ca.certPEM, config: config, secret: rand.Text(), byID: map[string]*Virtual{}, users: utilcache.NewExpiring()}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	for _, server := range config.Servers {
		b, err := newBackend(server)
		if err != nil {
			return nil, err
		}
		f.backends = append(f.backends, b)
	}
	for i, spec := range config.Clusters {
		v := &Virtual{Spec: spec, fleet: f, backend: f.backends[i%len(f.backends)], names: translationOf(i)}
		f.clusters, f.byID[spec.ID()] = append(f.clusters, v), v
	}
	if err := f.routeSTS(); err != nil {
		return nil, err
	}
	return f, f.listen(ca)
}

func (f *Fleet) routeSTS() error {
	if f.config.Authenticate != nil {
		return nil
	}
	routed := map[string]bool{}
	for _, v := range f.clusters {
		name := partition.Of(v.Region).Name
		if routed[name] {
			continue
		}
		undo, err := routeSTS(name, f.config.STS)
		if err != nil {
			return err
		}
		routed[name], f.undo = true, append(f.undo, undo)
	}
	return nil
}

func (f *Fleet) listen(ca *authority) (err error) {
	if f.server, err = ca.server(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return fmt.Errorf("listen for the virtual clusters: %w", err)
	}
	f.address = listener.Addr().String()
	f.server.Handler = http.HandlerFunc(f.serve)
	// A client of thousands of clusters comes to each once, and leaves a connection.
	f.server.IdleTimeout = 5 * time.Second
	server := f.server
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return nil
}

// Clusters are in the order of the FleetConfig.
func (f *Fleet) Clusters() []*Virtual { return f.clusters }

// Cluster returns the virtual cluster of an ID (see [Spec.ID]), and nil where there
// is none.
func (f *Fleet) Cluster(id string) *Virtual { return f.byID[id] }

// Close ends the endpoints. It may be called again.
func (f *Fleet) Close() error {
	for _, undo := range f.undo {
		undo()
	}
	for _, b := range f.backends {
		b.close()
	}
	if f.server == nil {
		return nil
	}
	return f.server.Close()
}

// Endpoint is the cluster's address, https://127.0.0.1:port/account/region/name.
func (v *Virtual) Endpoint() string { return "https://" + v.fleet.address + "/" + v.ID() }

// CAData is the PEM certificate of the cluster's authority, which is the fleet's.
func (v *Virtual) CAData() []byte { return v.fleet.CAData }

// Version is the Kubernetes version, as [Cluster.Version] writes it.
func (v *Virtual) Version() string { return v.backend.server.Version() }

// AdminConfig is for a client that may do everything, of this cluster only. It
// works without STS, as user "admin".
func (v *Virtual) AdminConfig() *rest.Config {
	return &rest.Config{
		Host: v.Endpoint(), BearerToken: v.adminToken(), QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: v.fleet.CAData},
	}
}

func (v *Virtual) adminToken() string { return "admin." + v.fleet.secret + "." + v.ID() }

// Mark returns the present end of the record that [Virtual.Requests] reads.
func (v *Virtual) Mark() (Mark, error) { return v.backend.server.Mark() }

// Requests returns this cluster's requests since mark, as [Cluster.Requests] does, and
// those that name one of its namespaces and came to the API server itself, such as an
// operator's.
func (v *Virtual) Requests(since Mark) ([]Request, error) {
	requests, err := v.backend.server.requests(since, func(e auditEvent) bool {
		return strings.HasPrefix(e.AuditID, v.names.prefix) || e.ObjectRef != nil && strings.HasPrefix(e.ObjectRef.Namespace, v.names.prefix)
	})
	for i := range requests {
		requests[i].Namespace, requests[i].Name = v.names.original(requests[i].Namespace), v.names.original(requests[i].Name)
		requests[i].Resource = v.names.original(requests[i].Resource)
	}
	return requests, err
}

// serve is the handler of all endpoints.
func (f *Fleet) serve(w http.ResponseWriter, r *http.Request) {
	v, path := f.find(r.URL.Path)
	if v == nil {
		http.NotFound(w, r)
		return
	}
	r.URL.Path, r.URL.RawPath = path, ""
	var handler http.Handler = http.HandlerFunc(v.serve)
	if f.config.Intercept != nil {
		handler = f.config.Intercept(v.Spec, handler)
	}
	handler.ServeHTTP(w, r)
}

// find splits a path into the cluster and the rest.
func (f *Fleet) find(path string) (*Virtual, string) {
	parts := strings.SplitN(path, "/", 5) // "", account, region, name, rest
	if len(parts) < 4 {
		return nil, ""
	}
	v := f.byID[strings.Join(parts[1:4], "/")]
	if len(parts) == 4 {
		return v, "/"
	}
	return v, "/" + parts[4]
}

// authenticate says who is calling. False means that the API server is to refuse
// the caller, or to take it as anonymous.
func (v *Virtual) authenticate(r *http.Request) (authenticationv1.UserInfo, bool) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return authenticationv1.UserInfo{}, false
	}
	if subtle.ConstantTimeCompare([]byte(bearer), []byte(v.adminToken())) == 1 {
		return authenticationv1.UserInfo{Username: "admin", Groups: []string{clusterAdminGroup}}, true
	}
	key := v.names.prefix + bearer
	if user, ok := v.fleet.users.Get(key); ok {
		return user.(authenticationv1.UserInfo), true
	}
	authenticate := v.fleet.config.Authenticate
	if authenticate == nil {
		authenticate = iamAuthenticator(v.Spec)
	}
	user, err := authenticate(bearer)
	if err != nil {
		v.fleet.config.Logger.InfoContext(r.Context(), "token refused",
			"account", v.Account, "region", v.Region, "cluster", v.Name, "reason", err.Error())
		return user, false
	}
	v.fleet.users.Set(key, user, tokenLifetime)
	return user, true
}

// Served is how many requests an API server has answered, by verb: GET, LIST,
// WATCH, PATCH and so on. Those of its own are among them.
type Served map[string]int

// Total is the sum of all verbs.
func (s Served) Total() (sum int) {
	for _, n := range s {
		sum += n
	}
	return sum
}

// Served reads the API server's own metrics, which count since it was started.
// https://kubernetes.io/docs/reference/instrumentation/metrics/
func (c *Cluster) Served() (Served, error) {
	client, err := rest.HTTPClientFor(c.AdminConfig())
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	resp, err := client.Get("https://" + c.apiserver() + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	served := Served{}
	for line := range strings.Lines(string(body)) {
		labels, ok := strings.CutPrefix(line, "apiserver_request_total{")
		_, verb, found := strings.Cut(labels, `verb="`)
		if !ok || !found {
			continue
		}
		verb, _, _ = strings.Cut(verb, `"`)
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
		if err != nil {
			return nil, fmt.Errorf("read the API server's metrics: %w", err)
		}
		served[verb] += int(value)
	}
	return served, nil
}
