package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	emulatedeks "github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	emulateds3 "github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

const (
	hub    = "999999999999"
	bucket = "run-bucket"
)

// The accounts, by what the access role may do there.
const (
	open    = "111111111111" // list, and describe
	lists   = "222222222222" // list only
	closed  = "333333333333" // neither
	without = "444444444444" // there is no access role
)

var role = eksauth.AccessRole{Partition: "aws", Name: "crossapply-access", ExternalID: "tenant-7"}

func accessRole(account string, actions ...string) iam.Role {
	r := iam.Role{Account: account, Name: role.Name,
		Trust: awsapitest.Trust(`{"AWS": "`+hub+`"}`, `"StringEquals": {"sts:ExternalId": "`+role.ExternalID+`"}`)}
	for _, action := range actions {
		r.Policies = append(r.Policies, awsapitest.Allow(action, "*"))
	}
	return r
}

// world is what discover calls: a local AWS, over its wire protocols.
type world struct {
	Discoverer
	aws *awsapi.Server
	s3  *s3.Client
}

func newWorld(t *testing.T, clusters ...emulatedeks.Cluster) world {
	t.Helper()
	function := iam.User{
		Account: hub, Name: "discover", AccessKeyID: "AKIADISCOVERDISC", SecretAccessKey: "secret-1",
		Policies: []string{
			awsapitest.Allow("sts:AssumeRole", role.ARN("*")),
			awsapitest.Allow("s3:PutObject", "arn:aws:s3:::"+bucket+"/"+runs.Pattern(runs.Discovered+"*")),
		},
	}
	person := iam.User{Account: hub, Name: "person", AccessKeyID: "AKIAPERSONPERSON", SecretAccessKey: "secret-2", Policies: []string{awsapitest.Allow("*", "*")}}
	server, err := awsapi.Start(awsapi.Config{
		Region:   "eu-west-1",
		Accounts: []iam.Account{{ID: hub}, {ID: open}, {ID: lists}, {ID: closed}, {ID: without}},
		Users:    []iam.User{function, person},
		Roles: []iam.Role{
			accessRole(open, "eks:ListClusters", "eks:DescribeCluster"), accessRole(lists, "eks:ListClusters"), accessRole(closed, "eks:AccessKubernetesApi"),
		},
		Buckets:  []emulateds3.Bucket{{Name: bucket, Account: hub, Region: "eu-west-1"}},
		Clusters: clusters,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	config := server.UserConfig(function, "eu-west-1")
	return world{
		Discoverer: Discoverer{
			auth:  eksauth.New(role, sts.NewFromConfig(config), time.Now),
			eks:   eks.NewFromConfig(config, patiently(time.Millisecond)),
			store: func(name string) Store { return runs.NewBucket(s3.NewFromConfig(config), name) },
		},
		aws: server, s3: s3.NewFromConfig(server.UserConfig(person, "eu-west-1")),
	}
}

// discover lists the clusters of an account, and returns what was found as one
// line: "region/name tags", with the Regions that are not enabled behind.
func (w world) discover(t *testing.T, account contract.Account) (string, error) {
	t.Helper()
	run := contract.Run{Execution: "arn:aws:states:eu-west-1:999999999999:execution:crossapply:nightly", Name: "nightly",
		Bucket: bucket, Prefix: runs.Prefix("nightly")}
	out, err := w.Handle(t.Context(), contract.DiscoverInput{Run: run, Account: account})
	if err != nil {
		return "", err
	}
	object, err := w.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("runs/nightly/discovered/" + account.Account + ".json")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(object.Body)
	if err != nil {
		t.Fatal(err)
	}
	var found contract.Found
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	if found.Clusters == nil || out != (contract.DiscoverOutput{Account: account.Account, Clusters: len(found.Clusters)}) {
		t.Errorf("%+v, but %s", out, text)
	}
	var parts []string
	for _, c := range found.Clusters {
		part := c.Region + "/" + c.Name
		if c.Tags != nil {
			part += fmt.Sprint(c.Tags)
		}
		parts = append(parts, part)
	}
	for _, region := range found.NotEnabled {
		parts = append(parts, "not "+region)
	}
	return strings.Join(parts, " "), nil
}

func cluster(account, region, name string, tags map[string]string) emulatedeks.Cluster {
	return emulatedeks.Cluster{Account: account, Region: region, Name: name, Tags: tags, Endpoint: "https://127.0.0.1:1", CA: []byte("PEM")}
}

var fleet = []emulatedeks.Cluster{
	cluster(open, "us-east-1", "payments-b", map[string]string{"env": "test"}),
	cluster(open, "us-east-1", "lab", nil),
	cluster(open, "eu-west-1", "payments-a", map[string]string{"env": "prod", "team": "pay"}),
	cluster(open, "eu-west-1", "ledger", map[string]string{"env": "prod"}),
	cluster(lists, "eu-west-1", "other", nil),
}

func TestDiscover(t *testing.T) {
	both := []string{"us-east-1", "eu-west-1"}
	// fail is what EKS answers in place of its answer to an operation in a Region.
	type fail map[string]string
	tests := []struct {
		name    string
		account contract.Account
		fail    fail
		want    string
		// err is the error's name, and says a part of its message.
		err  fault.Name
		says string
	}{
		{name: "all clusters of all Regions", account: contract.Account{Account: open, Regions: both},
			want: "eu-west-1/ledger eu-west-1/payments-a us-east-1/lab us-east-1/payments-b"},
		{name: "one Region", account: contract.Account{Account: open, Regions: both[:1]}, want: "us-east-1/lab us-east-1/payments-b"},
		{name: "only the names that matter", account: contract.Account{Account: open, Regions: both, Clusters: []string{"pay*", "le?ger"}},
			want: "eu-west-1/ledger eu-west-1/payments-a us-east-1/payments-b"},
		{name: "tags", account: contract.Account{Account: open, Regions: both, Clusters: []string{"payments-*"}, Tags: true},
			want: "eu-west-1/payments-a" + fmt.Sprint(fleet[2].Tags) + " us-east-1/payments-b" + fmt.Sprint(fleet[0].Tags)},
		{name: "an account without clusters in that Region", account: contract.Account{Account: lists, Regions: both[:1]}},
		{name: "tags are not read where nobody asks", account: contract.Account{Account: lists, Regions: both}, want: "eu-west-1/other"},
		{name: "tags that may not be read", account: contract.Account{Account: lists, Regions: both, Tags: true},
			err: fault.ListClustersDenied, says: lists + "/eu-west-1: read the tags of the cluster other: AccessDenied"},
		{name: "a denied list", account: contract.Account{Account: closed, Regions: both[:1]},
			err: fault.ListClustersDenied, says: closed + "/us-east-1: list the clusters: AccessDenied"},
		{name: "no access role", account: contract.Account{Account: without, Regions: both},
			err: fault.AssumeRoleDenied, says: without + ": assume " + role.ARN(without)},
		{name: "a Region that is not enabled", account: contract.Account{Account: open, Regions: append(both, "me-south-1", "af-south-1")},
			fail: fail{"ListClusters me-south-1": "UnrecognizedClientException", "ListClusters af-south-1": "InvalidClientTokenId"},
			want: "eu-west-1/ledger eu-west-1/payments-a us-east-1/lab us-east-1/payments-b not af-south-1 not me-south-1"},
		{name: "no Region that is enabled", account: contract.Account{Account: open, Regions: []string{"me-south-1", "af-south-1"}},
			fail: fail{"ListClusters me-south-1": "UnrecognizedClientException", "ListClusters af-south-1": "UnrecognizedClientException"},
			err:  fault.RegionNotEnabled, says: open + ": its credentials are not known in any of me-south-1, af-south-1"},
		{name: "a cluster that vanishes", account: contract.Account{Account: open, Regions: both[1:], Clusters: []string{"ledger"}, Tags: true},
			fail: fail{"DescribeCluster eu-west-1": "ResourceNotFoundException"}},
		{name: "one Region that denies fails the account", account: contract.Account{Account: open, Regions: both},
			fail: fail{"ListClusters us-east-1": "AccessDeniedException"}, err: fault.ListClustersDenied, says: open + "/us-east-1"},
		{name: "and so does one that is down", account: contract.Account{Account: open, Regions: both},
			fail: fail{"ListClusters us-east-1": "ServerException"}, err: fault.AWSUnavailable, says: open + "/us-east-1: list the clusters: ServerException"},
		{name: "or throttles without end", account: contract.Account{Account: open, Regions: both, Tags: true},
			fail: fail{"DescribeCluster us-east-1": "TooManyRequestsException"}, err: fault.Throttled, says: open + "/us-east-1: read the tags of the cluster "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, fleet...)
			w.eks = failing{EKS: w.eks, codes: test.fail}
			got, err := w.discover(t, test.account)
			if test.err != "" {
				if fault.NameOf(err) != test.err || !strings.Contains(err.Error(), test.says) {
					t.Errorf("%v, want %s that says %q", err, test.err, test.says)
				}
				return
			}
			if err != nil || got != test.want {
				t.Errorf("got  %q, %v\nwant %q", got, err, test.want)
			}
		})
	}
}

// failing is an EKS that answers some operations with an error, by operation and
// Region.
type failing struct {
	EKS
	codes map[string]string
}

func (f failing) refuse(operation string, options []func(*eks.Options)) error {
	var o eks.Options
	for _, option := range options {
		option(&o)
	}
	if code := f.codes[operation+" "+o.Region]; code != "" {
		fault := smithy.FaultClient
		if code == "ServerException" {
			fault = smithy.FaultServer
		}
		return &smithy.GenericAPIError{Code: code, Message: "no", Fault: fault}
	}
	return nil
}

func (f failing) ListClusters(ctx context.Context, in *eks.ListClustersInput, options ...func(*eks.Options)) (*eks.ListClustersOutput, error) {
	if err := f.refuse("ListClusters", options); err != nil {
		return nil, err
	}
	return f.EKS.ListClusters(ctx, in, options...)
}

func (f failing) DescribeCluster(ctx context.Context, in *eks.DescribeClusterInput, options ...func(*eks.Options)) (*eks.DescribeClusterOutput, error) {
	if err := f.refuse("DescribeCluster", options); err != nil {
		return nil, err
	}
	return f.EKS.DescribeCluster(ctx, in, options...)
}

// More clusters than fit a page are all found, though EKS throttles more of the calls
// than the SDK would make again by default.
func TestManyClustersThrottled(t *testing.T) {
	const count = 130
	var clusters []emulatedeks.Cluster
	for i := range count {
		clusters = append(clusters, cluster(open, "eu-west-1", fmt.Sprintf("c%03d", i), map[string]string{"n": fmt.Sprint(i)}))
	}
	w := newWorld(t, clusters...)
	var mu sync.Mutex
	calls := 0
	w.aws.EKS.SetThrottle(func(iam.Origin, string) bool {
		mu.Lock()
		defer mu.Unlock()
		calls++
		return calls%4 == 1
	})
	got, err := w.discover(t, contract.Account{Account: open, Regions: []string{"eu-west-1"}, Tags: true})
	if err != nil {
		t.Fatal(err)
	}
	found := strings.Fields(got)
	if len(found) != count || !slices.IsSorted(found) || found[129] != "eu-west-1/c129map[n:129]" {
		t.Errorf("found %d: %s", len(found), got)
	}
}
