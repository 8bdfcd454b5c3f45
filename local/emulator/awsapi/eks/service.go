package eks

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Cluster is an EKS cluster as its API describes it.
type Cluster struct {
	Account string
	Region  string
	Name    string
	// Endpoint is the URL of the Kubernetes API server.
	Endpoint string
	// CA is the PEM of the certificate authority behind Endpoint.
	CA []byte
	// Version is the Kubernetes version in EKS's form, such as "1.34".
	Version string
	// Status is CREATING, ACTIVE, DELETING, FAILED, UPDATING or PENDING; empty
	// means ACTIVE.
	Status  string
	RoleARN string
	// CreatedAt is now when zero.
	CreatedAt time.Time
	Tags      map[string]string
	// AuthenticationMode is API, API_AND_CONFIG_MAP or CONFIG_MAP; empty means API.
	AuthenticationMode string
}

// ARN returns the cluster's ARN.
func (c Cluster) ARN() string {
	return fmt.Sprintf("arn:%s:eks:%s:%s:cluster/%s", partition.Of(c.Region).Name, c.Region, c.Account, c.Name)
}

// Service is the EKS endpoint.
type Service struct {
	now func() time.Time

	mu       sync.RWMutex
	clusters map[string]Cluster // by ARN
	throttle Throttle
}

// Throttle says which requests are one too many.
type Throttle func(by iam.Origin, operation string) bool

// New returns an endpoint without clusters.
func New(now func() time.Time) *Service { return &Service{now: now, clusters: map[string]Cluster{}} }

// Name implements [protocol.Service].
func (s *Service) Name() string { return "eks" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.RESTJSON }

// Put adds a cluster or changes the one of the same account, Region and name.
func (s *Service) Put(c Cluster) {
	c.Status = cmp.Or(c.Status, "ACTIVE")
	c.AuthenticationMode = cmp.Or(c.AuthenticationMode, "API")
	if c.CreatedAt.IsZero() {
		c.CreatedAt = s.now()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clusters[c.ARN()] = c
}

// Delete removes a cluster.
func (s *Service) Delete(arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clusters, arn)
}

// SetThrottle has requests refused from now on; nil refuses none.
func (s *Service) SetThrottle(t Throttle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttle = t
}

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation {
	name, inClusters := strings.CutPrefix(r.URL.Path, "/clusters")
	name = strings.TrimPrefix(name, "/")
	switch {
	case !inClusters || r.Method != http.MethodGet || strings.Contains(name, "/"):
		return protocol.Operation{Name: r.Method + " " + r.URL.Path}
	case name == "":
		return s.operation("ListClusters", s.list)
	}
	return s.operation("DescribeCluster", s.describe)
}

func (s *Service) operation(name string, serve func(http.ResponseWriter, *protocol.Request) error) protocol.Operation {
	return protocol.Operation{Name: name, Action: "eks:" + name, Serve: func(w http.ResponseWriter, r *protocol.Request) error {
		s.mu.RLock()
		throttle := s.throttle
		s.mu.RUnlock()
		if throttle != nil && throttle(r.Origin, name) {
			// As EKS was seen to answer: https://github.com/awslabs/amazon-eks-ami/pull/218
			return protocol.Errorf(http.StatusTooManyRequests, "TooManyRequestsException", "Too Many Requests")
		}
		return serve(w, r)
	}}
}

func (s *Service) describe(w http.ResponseWriter, r *protocol.Request) error {
	name := strings.TrimPrefix(r.URL.Path, "/clusters/")
	arn := Cluster{Account: r.Caller.Account, Region: r.Region, Name: name}.ARN()
	s.mu.RLock()
	c, ok := s.clusters[arn]
	s.mu.RUnlock()
	conditions := iam.Conditions{}
	for key, value := range c.Tags {
		conditions["aws:ResourceTag/"+key] = []string{value}
	}
	if err := r.Authorize(iam.Request{Resource: arn, Conditions: conditions}); err != nil {
		return err
	}
	if !ok {
		return protocol.Errorf(http.StatusNotFound, "ResourceNotFoundException", "No cluster found for name: %s.", name)
	}
	protocol.WriteJSON(w, map[string]any{"cluster": describe(c)})
	return nil
}

func (s *Service) list(w http.ResponseWriter, r *protocol.Request) error {
	everything := Cluster{Account: r.Caller.Account, Region: r.Region, Name: "*"}.ARN()
	if err := r.Authorize(iam.Request{Resource: everything}); err != nil {
		return err
	}
	limit := 100
	if text := r.URL.Query().Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return protocol.Errorf(http.StatusBadRequest, "InvalidParameterException", "maxResults must be between 1 and 100")
		}
		limit = n
	}
	after, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("nextToken"))
	if err != nil {
		return protocol.Errorf(http.StatusBadRequest, "InvalidParameterException", "nextToken is malformed")
	}
	names := s.names(r.Origin, string(after))
	answer := map[string]any{"clusters": names}
	if len(names) > limit {
		answer["clusters"] = names[:limit]
		answer["nextToken"] = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
	protocol.WriteJSON(w, answer)
	return nil
}

// names lists the caller's clusters in its Region that sort after a name.
func (s *Service) names(origin iam.Origin, after string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := []string{}
	for _, c := range s.clusters {
		if c.Account == origin.Caller.Account && c.Region == origin.Region && c.Name > after {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// description is docs.aws.amazon.com/eks/latest/APIReference/API_Cluster.html
type description struct {
	Name                 string             `json:"name"`
	ARN                  string             `json:"arn"`
	CreatedAt            float64            `json:"createdAt"`
	Version              string             `json:"version,omitempty"`
	Endpoint             string             `json:"endpoint,omitempty"`
	RoleARN              string             `json:"roleArn,omitempty"`
	Status               string             `json:"status"`
	CertificateAuthority map[string]string  `json:"certificateAuthority,omitempty"`
	PlatformVersion      string             `json:"platformVersion"`
	AccessConfig         accessConfig       `json:"accessConfig"`
	ResourcesVPCConfig   resourcesVPCConfig `json:"resourcesVpcConfig"`
	Tags                 map[string]string  `json:"tags"`
}

type accessConfig struct {
	AuthenticationMode string `json:"authenticationMode"`
}

type resourcesVPCConfig struct {
	SubnetIDs             []string `json:"subnetIds"`
	SecurityGroupIDs      []string `json:"securityGroupIds"`
	EndpointPublicAccess  bool     `json:"endpointPublicAccess"`
	EndpointPrivateAccess bool     `json:"endpointPrivateAccess"`
	PublicAccessCIDRs     []string `json:"publicAccessCidrs"`
}

func describe(c Cluster) description {
	d := description{
		Name: c.Name, ARN: c.ARN(), Version: c.Version, RoleARN: c.RoleARN, Status: c.Status,
		CreatedAt:       float64(c.CreatedAt.UnixMilli()) / 1000,
		PlatformVersion: "eks.1",
		AccessConfig:    accessConfig{AuthenticationMode: c.AuthenticationMode},
		ResourcesVPCConfig: resourcesVPCConfig{
			SubnetIDs: []string{}, SecurityGroupIDs: []string{},
			EndpointPublicAccess: true, PublicAccessCIDRs: []string{"0.0.0.0/0"},
		},
		Tags: map[string]string{},
	}
	if c.Tags != nil {
		d.Tags = c.Tags
	}
	// A cluster that is being created has neither yet; one that is updated or
	// deleted still has both.
	if c.Status != "CREATING" && c.Status != "PENDING" && c.Status != "FAILED" {
		d.Endpoint = c.Endpoint
		d.CertificateAuthority = map[string]string{"data": base64.StdEncoding.EncodeToString(c.CA)}
	}
	return d
}
