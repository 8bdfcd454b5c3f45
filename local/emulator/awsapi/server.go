package awsapi

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/awsapi/organizations"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/local/emulator/awsapi/sigv4"
	"github.com/crossapply/crossapply/local/emulator/awsapi/sts"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Config is what a Server starts with.
type Config struct {
	// Address to listen on; empty means 127.0.0.1 and a free port.
	Address string
	// Region of what says none itself; empty means us-east-1.
	Region string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Random makes secrets and session tokens; nil means crypto/rand.
	Random io.Reader
	// FollowLogs, if not nil, gets every line that a function prints, from
	// several goroutines at a time.
	FollowLogs func(lambda.Line)

	Accounts  []iam.Account
	Users     []iam.User
	Roles     []iam.Role
	Buckets   []s3.Bucket
	Clusters  []eks.Cluster
	Functions []lambda.Function
	// Buses are those beside the default ones.
	Buses         []events.Bus
	Organizations []organizations.Organization
}

// Server is the local AWS.
type Server struct {
	// What is in these can be changed while the server runs.
	IAM           *iam.Directory
	EKS           *eks.Service
	S3            *s3.Service
	Lambda        *lambda.Service
	Events        *events.Service
	Organizations *organizations.Service

	region   string
	verifier sigv4.Verifier
	listener net.Listener
	server   *http.Server
	calls    calls

	mu       sync.RWMutex
	services map[string]protocol.Service // by name
}

// Start opens the port and fills it. It returns an error when the port is
// taken, or a user, role, bucket or function is not one AWS would accept.
func Start(c Config) (*Server, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	listener, err := net.Listen("tcp", cmp.Or(c.Address, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("local AWS: %w", err)
	}
	directory := iam.NewDirectory(c.Now, c.Random)
	s := &Server{
		IAM: directory, EKS: eks.New(c.Now), S3: s3.New(c.Now), Events: events.New(c.Now), Organizations: organizations.New(),
		region:   cmp.Or(c.Region, "us-east-1"),
		verifier: sigv4.Verifier{Keys: directory, Now: c.Now},
		listener: listener,
		services: map[string]protocol.Service{},
	}
	s.Lambda = lambda.New(lambda.Config{Directory: directory, Now: c.Now, Endpoint: s.URL, Follow: c.FollowLogs})
	for _, service := range []protocol.Service{sts.New(directory), s.EKS, s.S3, s.Lambda, s.Events, s.Organizations} {
		s.Mount(service)
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 30 * time.Second}
	if err := s.fill(c); err != nil {
		return nil, errors.Join(fmt.Errorf("local AWS: %w", err), s.Close())
	}
	go func() { _ = s.server.Serve(listener) }() // ends with Close
	return s, nil
}

func (s *Server) fill(c Config) error {
	for _, a := range c.Accounts {
		if err := s.IAM.AddAccount(a); err != nil {
			return err
		}
	}
	for _, u := range c.Users {
		if err := s.IAM.PutUser(u); err != nil {
			return err
		}
	}
	for _, r := range c.Roles {
		if err := s.IAM.PutRole(r); err != nil {
			return err
		}
	}
	for _, b := range c.Buckets {
		if err := s.S3.PutBucket(b); err != nil {
			return err
		}
	}
	for _, cluster := range c.Clusters {
		cluster.Region = cmp.Or(cluster.Region, s.region)
		s.EKS.Put(cluster)
	}
	for _, f := range c.Functions {
		f.Region = cmp.Or(f.Region, s.region)
		if err := s.Lambda.Put(f); err != nil {
			return err
		}
	}
	for _, b := range c.Buses {
		b.Region = cmp.Or(b.Region, s.region)
		s.Events.PutBus(b)
	}
	for _, o := range c.Organizations {
		if err := s.Organizations.Put(o); err != nil {
			return err
		}
	}
	return nil
}

// URL is the endpoint, to be used as AWS_ENDPOINT_URL.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Close ends all functions' processes, then the port, and waits for both.
func (s *Server) Close() error {
	s.Lambda.Close()
	if err := s.server.Close(); err != nil {
		return fmt.Errorf("close local AWS: %w", err)
	}
	// A server that has not begun to serve does not know its listener yet.
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close local AWS: %w", err)
	}
	return nil
}

// Mount adds a service, in place of one of the same name.
func (s *Server) Mount(service protocol.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services[service.Name()] = service
}

// serviceOf returns the service that a request is for.
func (s *Server) serviceOf(r *http.Request, signature *sigv4.Signature) protocol.Service {
	name := serviceName(r, signature)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if service, ok := s.services[name]; ok {
		return service
	}
	return unserved{name, r}
}

// UserConfig returns an SDK configuration for the endpoint with a user's keys.
func (s *Server) UserConfig(u iam.User, region string) aws.Config {
	keys := aws.Credentials{AccessKeyID: u.AccessKeyID, SecretAccessKey: u.SecretAccessKey}
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(s.URL()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil }),
	}
}

// maxBody bounds a request. It leaves room for the largest Lambda payload and,
// for S3, for a part of a multipart upload as SDKs choose it.
const maxBody = 256 << 20

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	signature, err := sigv4.Parse(r)
	service := s.serviceOf(r, signature)
	var origin iam.Origin
	if err == nil {
		origin, err = s.authenticate(w, r, signature)
	}
	if err != nil {
		var refused *sigv4.Error
		if errors.As(err, &refused) {
			err = refused.For(service.Protocol())
		}
		s.calls.add(Call{Service: service.Name(), Operation: "Unauthenticated"})
		service.Protocol().WriteError(w, r, err)
		return
	}
	request := protocol.NewRequest(r, service, origin, s.IAM)
	s.calls.add(Call{Account: origin.Caller.Account, Service: service.Name(), Operation: request.Operation.Name})
	if signature.Presigned { // by whoever holds it, such as a cluster that checks a token
		request.Serve(w)
		return
	}
	s.Lambda.Intercept(origin.Caller.Source, service.Name(), request.Operation.Name, w, request.Serve)
}

// authenticate checks the signature, and leaves the request with its body whole
// and not chunked.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, signature *sigv4.Signature) (iam.Origin, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return iam.Origin{}, protocol.Errorf(http.StatusBadRequest, "RequestBodyUnreadable", "The request's body cannot be read: %v", err)
	}
	credential, err := s.verifier.Verify(r, signature, body)
	if err != nil {
		return iam.Origin{}, err
	}
	if credential.Caller.Partition() != partition.Of(signature.Region).Name {
		return iam.Origin{}, &sigv4.Error{Reason: sigv4.UnknownKey, Message: "The security token included in the request is invalid."}
	}
	if signature.Service == "s3" {
		if err := checkHeadersSigned(r, signature); err != nil {
			return iam.Origin{}, err
		}
		if body, err = unchunk(r, signature, body, credential.SecretAccessKey); err != nil {
			return iam.Origin{}, err
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	host, _, _ := net.SplitHostPort(r.RemoteAddr) // set by net/http, always well-formed
	return iam.Origin{Caller: credential.Caller, Region: signature.Region, SourceIP: host}, nil
}

// checkHeadersSigned refuses an S3 request that carries x-amz- headers outside
// of its signature, as S3 does: they could have been added on the way.
func checkHeadersSigned(r *http.Request, signature *sigv4.Signature) error {
	signed := map[string]bool{}
	for _, name := range signature.SignedHeaders {
		signed[name] = true
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !signed[lower] {
			return protocol.Errorf(http.StatusForbidden, "AccessDenied", "There were headers present in the request which were not signed: %s", lower)
		}
	}
	return nil
}

// unchunk takes an upload in aws-chunked apart and leaves the headers as a plain
// upload would have them.
func unchunk(r *http.Request, signature *sigv4.Signature, body []byte, secret string) ([]byte, error) {
	payload, trailer, err := signature.DecodeChunked(r, body, secret)
	if err != nil {
		return nil, err
	}
	for name, values := range trailer {
		r.Header[name] = values
	}
	if trailer != nil {
		var encodings []string
		for encoding := range strings.SplitSeq(r.Header.Get("Content-Encoding"), ",") {
			if encoding = strings.TrimSpace(encoding); encoding != "" && encoding != "aws-chunked" {
				encodings = append(encodings, encoding)
			}
		}
		r.Header.Del("Content-Encoding")
		if len(encodings) > 0 {
			r.Header.Set("Content-Encoding", strings.Join(encodings, ","))
		}
		if want := r.Header.Get("X-Amz-Decoded-Content-Length"); want != "" && want != strconv.Itoa(len(payload)) {
			return nil, protocol.Errorf(http.StatusBadRequest, "IncompleteBody", "You did not provide the number of bytes specified by the x-amz-decoded-content-length HTTP header")
		}
	}
	return payload, nil
}

// serviceName says which service a request is for: the one in its credential
// scope, or for one that is not signed the one its host or form shows.
func serviceName(r *http.Request, signature *sigv4.Signature) string {
	if signature != nil && signature.Service != "" {
		return signature.Service
	}
	if label, _, found := strings.Cut(r.Host, "."); found && strings.HasSuffix(strings.TrimSuffix(r.Host, ".cn"), ".amazonaws.com") {
		return label
	}
	switch {
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions."):
		return "states"
	case r.URL.Query().Has("Action") || strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		return "sts"
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/"):
		return "lambda"
	}
	return "s3"
}
