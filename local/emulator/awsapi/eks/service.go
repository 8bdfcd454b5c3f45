package eks

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
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
}

// ARN returns the cluster's ARN.
func (c Cluster) ARN() string {
	return fmt.Sprintf("arn:aws:eks:%s:%s:cluster/%s", c.Region, c.Account, c.Name)
}

// Service is the EKS endpoint. It expects the caller in the request's context.
type Service struct {
	directory *iam.Directory
	now       func() time.Time

	mu       sync.RWMutex
	clusters map[string]Cluster // by ARN
}

// New returns an endpoint without clusters.
func New(directory *iam.Directory, now func() time.Time) *Service {
	return &Service{directory: directory, now: now, clusters: map[string]Cluster{}}
}

// Put adds a cluster or changes the one of the same account, Region and name.
func (s *Service) Put(c Cluster) {
	c.Status = cmp.Or(c.Status, "ACTIVE")
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

// Operation names the API operation that the request means.
func (s *Service) Operation(r *http.Request) string {
	name, inClusters := strings.CutPrefix(r.URL.Path, "/clusters")
	name = strings.TrimPrefix(name, "/")
	switch {
	case !inClusters || r.Method != http.MethodGet || strings.Contains(name, "/"):
		return r.Method + " " + r.URL.Path
	case name == "":
		return "ListClusters"
	}
	return "DescribeCluster"
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result, err := s.serve(r)
	if err != nil {
		protocol.RESTJSON.WriteError(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Requestid", protocol.RequestID())
	_ = json.NewEncoder(w).Encode(result) // the client is gone; nobody is left to tell
}

func (s *Service) serve(r *http.Request) (any, error) {
	origin, ok := iam.FromContext(r.Context())
	if !ok {
		return nil, errors.New("request without a caller")
	}
	switch operation := s.Operation(r); operation {
	case "ListClusters":
		return s.list(origin, r)
	case "DescribeCluster":
		return s.describe(origin, strings.TrimPrefix(r.URL.Path, "/clusters/"))
	default:
		return nil, protocol.Errorf(http.StatusNotFound, "UnknownOperationException", "The operation %s of eks is not supported by this endpoint", operation)
	}
}

func (s *Service) describe(origin iam.Origin, name string) (any, error) {
	arn := Cluster{Account: origin.Caller.Account, Region: origin.Region, Name: name}.ARN()
	s.mu.RLock()
	c, ok := s.clusters[arn]
	s.mu.RUnlock()
	conditions := iam.Conditions{}
	for key, value := range c.Tags {
		conditions["aws:ResourceTag/"+key] = []string{value}
	}
	if err := s.authorize(origin, "eks:DescribeCluster", arn, conditions); err != nil {
		return nil, err
	}
	if !ok {
		return nil, protocol.Errorf(http.StatusNotFound, "ResourceNotFoundException", "No cluster found for name: %s.", name)
	}
	return map[string]any{"cluster": describe(c)}, nil
}

func (s *Service) list(origin iam.Origin, r *http.Request) (any, error) {
	everything := Cluster{Account: origin.Caller.Account, Region: origin.Region, Name: "*"}.ARN()
	if err := s.authorize(origin, "eks:ListClusters", everything, nil); err != nil {
		return nil, err
	}
	limit := 100
	if text := r.URL.Query().Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return nil, protocol.Errorf(http.StatusBadRequest, "InvalidParameterException", "maxResults must be between 1 and 100")
		}
		limit = n
	}
	after, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("nextToken"))
	if err != nil {
		return nil, protocol.Errorf(http.StatusBadRequest, "InvalidParameterException", "nextToken is malformed")
	}
	names := s.names(origin, string(after))
	answer := map[string]any{"clusters": names}
	if len(names) > limit {
		answer["clusters"] = names[:limit]
		answer["nextToken"] = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
	return answer, nil
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

func (s *Service) authorize(origin iam.Origin, action, resource string, conditions iam.Conditions) error {
	merged := origin.Conditions()
	for key, value := range conditions {
		merged[key] = value
	}
	err := s.directory.Authorize(iam.Request{Caller: origin.Caller, Action: action, Resource: resource, Conditions: merged})
	var denied *iam.AccessDeniedError
	if errors.As(err, &denied) {
		return protocol.Errorf(http.StatusForbidden, "AccessDeniedException", "%v", denied)
	}
	return err
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
		AccessConfig:    accessConfig{AuthenticationMode: "API"},
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
