// Package cluster runs real Kubernetes API servers on one machine, one for each
// emulated EKS cluster.
//
// The tour:
//
//   - [FindBinaries] finds kube-apiserver and etcd, downloads them, or builds them
//     from their Go modules.
//   - [Start] starts one etcd and a kube-apiserver for each [Spec] over it. Every
//     API server has its own key prefix in etcd, its own certificate authority,
//     its own service account key and its own port: to a client they are clusters
//     that know nothing of each other.
//   - The [Cluster]s answer what EKS's DescribeCluster would (endpoint, CA,
//     version), can be stopped and started again at the same address, and tell
//     which requests they served ([Cluster.Requests]).
//   - With Config.Intercept a proxy (proxy.go) stands before each API server, for
//     tests that interfere with requests.
//   - [StartFleet] serves thousands of virtual clusters over a few of these API
//     servers: fleet.go has the clusters and who may enter, translation.go what
//     requests and answers say, backend.go the way to the API server.
//   - [Kubeconfig] makes the file that kubectl needs, with tokens from
//     "aws eks get-token".
//   - Package clustertest starts such clusters for tests, without STS.
//
// Who may enter is decided as on EKS. The API server hands a bearer token to a
// webhook (webhook.go); the webhook asks aws-iam-authenticator's own verifier,
// which replays the presigned GetCallerIdentity request against STS; and the
// identity that STS names must have an [AccessEntry] on that cluster. What it may
// do is then a matter of RBAC.
//
// What differs from EKS: there are no nodes and no controllers, so a Deployment
// makes no Pods and a deleted namespace stays Terminating; the access policy
// AmazonEKSClusterAdminPolicy is modelled by the group system:masters; and the
// endpoint is a loopback address.
package cluster
