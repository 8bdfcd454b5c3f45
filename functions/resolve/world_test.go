package main

import (
	"log"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	emulatedeks "github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	emulateds3 "github.com/crossapply/crossapply/local/emulator/awsapi/s3"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/emulator/cluster/clustertest"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

// The tests call a local AWS and a real API server, over their wire protocols. The
// API server is the cluster of every account, so that what differs is the access
// that the account's role has.

const (
	hub    = "999999999999"
	region = "eu-west-1"
	bucket = "run-bucket"
)

// The accounts, by what the access role may do there.
const (
	deployers = "111111111111" // what the examples' RBAC rules say
	readers   = "222222222222" // look only
	writers   = "333333333333" // write, but not watch
	unmapped  = "444444444444" // nothing: the cluster has no access entry for it
	guarded   = "555555555555" // it expects another external id
	blind     = "666666666666" // it does not describe clusters
)

var role = eksauth.AccessRole{Partition: "aws", Name: "crossapply-access", ExternalID: "tenant-7"}

// function is who the function runs as, and person one who may do everything.
var (
	function = iam.User{
		Account: hub, Name: "resolve", AccessKeyID: "AKIARESOLVERESOL", SecretAccessKey: "secret-1",
		Policies: []string{
			awsapitest.Allow("sts:AssumeRole", role.ARN("*")),
			`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::` + bucket + `",
				"Condition": {"StringLike": {"s3:prefix": "` + runs.Pattern(runs.Marks) + `"}}}}`,
		},
	}
	person = iam.User{
		Account: hub, Name: "person", AccessKeyID: "AKIAPERSONPERSON", SecretAccessKey: "secret-2",
		Policies: []string{awsapitest.Allow("*", "*")},
	}
)

// accessRole is the access role in an account, which may do one action of AWS's.
func accessRole(account, externalID, action string) iam.Role {
	return iam.Role{
		Account: account, Name: role.Name, Policies: []string{awsapitest.Allow(action, "*")},
		Trust: awsapitest.Trust(`{"AWS": "`+hub+`"}`, `"StringEquals": {"sts:ExternalId": "`+externalID+`"}`),
	}
}

// local is the AWS of these tests, and servers hold its one cluster.
var (
	local   *awsapi.Server
	servers *clustertest.Servers
)

func TestMain(m *testing.M) {
	var err error
	local, err = awsapi.Start(awsapi.Config{
		Accounts: []iam.Account{{ID: hub}, {ID: deployers}, {ID: readers}, {ID: writers}, {ID: unmapped}, {ID: guarded}, {ID: blind}},
		Users:    []iam.User{function, person},
		Roles: []iam.Role{
			accessRole(deployers, role.ExternalID, "eks:DescribeCluster"),
			accessRole(readers, role.ExternalID, "eks:DescribeCluster"),
			accessRole(writers, role.ExternalID, "eks:DescribeCluster"),
			accessRole(unmapped, role.ExternalID, "eks:DescribeCluster"),
			accessRole(guarded, "tenant-8", "eks:DescribeCluster"),
			accessRole(blind, role.ExternalID, "eks:ListClusters"),
		},
		Buckets: []emulateds3.Bucket{{Name: bucket, Account: hub, Region: region}},
	})
	if err != nil {
		log.Fatal(err)
	}
	address, err := url.Parse(local.URL())
	if err != nil {
		log.Fatal(err)
	}
	servers = clustertest.New(clustertest.Config{
		Binaries: binaries.Find, Objects: objects, STS: address,
		AccessEntries: []cluster.AccessEntry{
			{PrincipalARN: role.ARN(deployers), Groups: []string{deployment.Group}},
			{PrincipalARN: role.ARN(readers), Groups: []string{"readers"}},
			{PrincipalARN: role.ARN(writers), Groups: []string{"writers"}},
		},
	})
	code := servers.Run(m)
	if err := local.Close(); err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

// rbac lets the groups readers and writers do a part of what an apply needs.
const rbac = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: readers}
rules:
- {apiGroups: [messaging.example.com], resources: [topics], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: writers}
rules:
- {apiGroups: [messaging.example.com], resources: [topics], verbs: [get, create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: readers}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: readers}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: writers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: writers}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: writers}
`

func objects() ([]*unstructured.Unstructured, error) {
	ours, err := cluster.Decode(strings.NewReader(rbac))
	if err != nil {
		return nil, err
	}
	theirs, err := cluster.DecodeFiles(examples.Files, "rbac.yaml", "crd.yaml")
	return append(ours, theirs...), err
}

// newResolver is a sandbox of the function, with the cluster in every account.
func newResolver(t *testing.T) (Resolver, *cluster.Cluster) {
	t.Helper()
	c := servers.Clusters(t)[0]
	for _, account := range []string{deployers, readers, writers, unmapped, guarded, blind} {
		local.EKS.Put(emulatedeks.Cluster{Account: account, Region: region, Name: c.Name,
			Endpoint: c.Endpoint(), CA: c.CAData, Version: c.Version()})
	}
	config := local.UserConfig(function, region)
	return Resolver{
		auth:     eksauth.New(role, sts.NewFromConfig(config), time.Now),
		clusters: new(kube.Clusters),
		eks:      eks.NewFromConfig(config),
		marks:    func(name string) Marks { return runs.NewBucket(s3.NewFromConfig(config), name) },
	}, c
}

// inputFor is a target of an execution that belongs to the test.
func inputFor(t *testing.T, account string) contract.Item {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	return contract.Item{
		TargetItem: contract.TargetItem{Target: contract.Target{Account: account, Region: region, Cluster: servers.Clusters(t)[0].Name}},
		Phase:      contract.Phase{Number: 1, Kind: contract.PhaseWave, Name: "canary", Operation: operation.Apply, MaxFailures: 2_000},
		Run: contract.Run{
			Execution: "arn:aws:states:" + region + ":" + hub + ":execution:crossapply:" + name, Name: name,
			Bucket: bucket, Prefix: runs.Prefix(name), Operation: operation.Apply,
			Resources: []contract.ResourceRef{{APIVersion: "messaging.example.com/v1", Kind: "Topic", Namespace: "kafka", Name: "orders"}},
			Ready:     contract.ReadySettings{Wait: true},
		},
	}
}

// mark writes an object below the execution's prefix.
func mark(t *testing.T, in contract.Item, name string) {
	t.Helper()
	client := s3.NewFromConfig(local.UserConfig(person, region))
	_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(in.Run.Prefix + name), Body: strings.NewReader("{}")})
	if err != nil {
		t.Fatal(err)
	}
}

// expectFault checks an error's name, that it begins with the target, and what it says.
func expectFault(t *testing.T, in contract.Item, err error, want fault.Name, says string) {
	t.Helper()
	if fault.NameOf(err) != want || !strings.HasPrefix(err.Error(), in.Target.String()+": ") || !strings.Contains(err.Error(), says) {
		t.Errorf("got %s: %v; want %s that says %q", fault.NameOf(err), err, want, says)
	}
}
