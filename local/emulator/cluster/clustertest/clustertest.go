// Package clustertest gives the tests of a package real Kubernetes API servers,
// by default without an AWS beside them.
//
// They start at the first test that asks for them, once for the whole test
// binary, and end with it:
//
//	var servers = clustertest.New(clustertest.Config{Binaries: binaries.Find, Objects: objects})
//
//	func TestMain(m *testing.M) { os.Exit(servers.Run(m)) }
//
//	func objects() ([]*unstructured.Unstructured, error) {
//		return cluster.DecodeFiles(examples.Files, "crd.yaml")
//	}
//
//	func TestApply(t *testing.T) {
//		c := servers.Clusters(t)[0]
//		bearer := servers.Token(t, "jane", "deployers") // user jane, of group deployers
//		client, err := new(kube.Clusters).Client(target, contract.Cluster{
//			Endpoint: c.Endpoint(),
//			CA:       base64.StdEncoding.EncodeToString(c.CAData),
//			Version:  c.Version(),
//		}, bearer)
//		...
//		admin, err := dynamic.NewForConfig(c.AdminConfig()) // may do everything
//	}
//
// What a token's user may do is a matter of RBAC: bind its name or its groups in
// Objects or by the admin. Objects live as long as the test binary, so tests that
// share a server use names or namespaces of their own.
package clustertest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/local/emulator/cluster"
)

// Config says what to start.
type Config struct {
	// Binaries finds the programs to start, and tells its progress to the writer.
	Binaries func(ctx context.Context, progress io.Writer) (cluster.Binaries, error)
	// Clusters is how many API servers there are; 0 means one.
	Clusters int
	// Objects, if not nil, returns what every API server holds from its start, in the
	// order of their creation.
	Objects func() ([]*unstructured.Unstructured, error)
	// STS, if not nil, is the endpoint that verifies tokens as on EKS, in place of
	// [Servers.Token], and AccessEntries are the IAM principals that every server
	// lets in. It must serve until [Servers.Run] returns.
	STS           *url.URL
	AccessEntries []cluster.AccessEntry
}

// Servers are the API servers of a test binary.
type Servers struct {
	config Config
	start  sync.Once
	err    error
	plane  *cluster.ControlPlane
	users  sync.Map // bearer token to authenticationv1.UserInfo
}

// New starts nothing yet.
func New(config Config) *Servers { return &Servers{config: config} }

// Run runs the tests, ends the servers if a test started them, and returns the
// exit status for TestMain.
func (s *Servers) Run(m *testing.M) int {
	code := m.Run()
	if s.plane == nil {
		return code
	}
	if err := s.plane.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "end the API servers:", err)
		return max(code, 1)
	}
	return code
}

// Clusters returns the API servers, and starts them at the first call. A test may
// stop one if it starts it again.
func (s *Servers) Clusters(t testing.TB) []*cluster.Cluster {
	t.Helper()
	// Not the context of the first test that comes: the servers are everybody's.
	s.start.Do(func() { s.plane, s.err = s.run(context.Background()) })
	if s.err != nil {
		t.Fatalf("start the API servers: %v", s.err)
	}
	return s.plane.Clusters()
}

func (s *Servers) run(ctx context.Context) (*cluster.ControlPlane, error) {
	binaries, err := s.config.Binaries(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	if s.config.Objects != nil {
		if objects, err = s.config.Objects(); err != nil {
			return nil, err
		}
	}
	config := cluster.Config{Binaries: binaries, STS: s.config.STS}
	if config.STS == nil {
		config.Authenticate = s.authenticate
	}
	for i := range max(s.config.Clusters, 1) {
		config.Clusters = append(config.Clusters, cluster.Spec{
			Name: fmt.Sprintf("test-%d", i), Account: "111111111111", Region: "eu-west-1", Objects: objects,
			AccessEntries: s.config.AccessEntries,
		})
	}
	return cluster.Start(ctx, config)
}

// Token returns a bearer token that signs in as a user of these groups (besides
// system:authenticated) on every server, until the test ends. A server may go on
// accepting a token that it has seen for five seconds more.
func (s *Servers) Token(t testing.TB, user string, groups ...string) string {
	t.Helper()
	bearer := rand.Text()
	s.users.Store(bearer, authenticationv1.UserInfo{Username: user, Groups: groups})
	t.Cleanup(func() { s.users.Delete(bearer) })
	return bearer
}

var errUnknownToken = errors.New("unknown token")

func (s *Servers) authenticate(bearer string) (authenticationv1.UserInfo, error) {
	user, ok := s.users.Load(bearer)
	if !ok {
		return authenticationv1.UserInfo{}, errUnknownToken
	}
	return user.(authenticationv1.UserInfo), nil
}
