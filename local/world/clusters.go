package world

import (
	"fmt"
	"net"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/emulator/awsapi/eks"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/regions"
)

// Namespace exists in every cluster, for the examples.
const Namespace = "kafka"

func (c Cluster) active() bool { return c.Status == "" || c.Status == "ACTIVE" }

// spec describes the API server behind the cluster, and what is installed there.
func (c Cluster) spec() (cluster.Spec, error) {
	spec := cluster.Spec{
		Name: c.Cluster, Account: c.Account, Region: c.Region, AccessEntries: c.accessEntries(),
		Objects: []*unstructured.Unstructured{cluster.Namespace(Namespace)},
	}
	var installed []string
	if !c.NoCRD {
		installed = append(installed, "crd.yaml")
	}
	if !c.NoRBAC {
		installed = append(installed, "rbac.yaml")
	}
	objects, err := cluster.DecodeFiles(examples.Files, installed...)
	if err != nil {
		return spec, fmt.Errorf("read the examples: %w", err)
	}
	spec.Objects = append(spec.Objects, objects...)
	return spec, nil
}

func (c Cluster) accessEntries() []cluster.AccessEntry {
	partition := regions.Partition(c.Region)
	// Whoever creates an EKS cluster is its admin.
	entries := []cluster.AccessEntry{{PrincipalARN: engineer(partition, c.Account).ARN(), ClusterAdmin: true}}
	if !c.Unmapped {
		role := eksauth.AccessRole{Partition: partition, Name: accessRoleName}
		entries = append(entries, cluster.AccessEntry{PrincipalARN: role.ARN(c.Account), Groups: []string{deployment.Group}})
	}
	return entries
}

// unusedCA is a certificate whose key was thrown away.
const unusedCA = `-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUbm852OP1XrAiNjCqHxk7ARljBrQwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzE2MzAyNloYDzIxMjYxMDMwMTYz
MDI2WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARG5q6jXMp8UOa5VAy7Jz0yEDCR1lQhoH1Fs9a4XpFzJ/UX2+tHoOVYIF9Lu7O6
H2G4RiUYLYshbRtGu5/nfHTio1MwUTAdBgNVHQ4EFgQUHflOGxFjveFeLSFOAOKo
PzGhfZ0wHwYDVR0jBBgwFoAUHflOGxFjveFeLSFOAOKoPzGhfZ0wDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBeAGFp8pyxt7nAIHnFkyncneUTDe9H
zBbHnY3fVDYnQAIgEeAXALM2Cop2A812SR+MsSzdRY021AG499Kw3yGUWSU=
-----END CERTIFICATE-----
`

// describe returns what EKS says of the cluster.
func (w *World) describe(c Cluster) (eks.Cluster, error) {
	described := eks.Cluster{Account: c.Account, Region: c.Region, Name: c.Cluster, Status: c.Status, Tags: c.Tags, Version: "1.37"}
	if running := w.Cluster(c.Target); running != nil {
		described.Endpoint, described.CA, described.Version = running.Endpoint(), running.CAData, running.Version()
		return described, nil
	}
	if virtual := w.FleetCluster(c.Target); virtual != nil {
		described.Endpoint, described.CA, described.Version = virtual.Endpoint(), virtual.CAData(), virtual.Version()
		return described, nil
	}
	if !c.active() {
		return described, nil
	}
	// Absent: nothing listens at the endpoint, a port that was free.
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return described, err
	}
	described.Endpoint = "https://" + closed.Addr().String()
	described.CA = []byte(unusedCA)
	return described, closed.Close()
}
