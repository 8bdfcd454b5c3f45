package cluster

import (
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"github.com/crossapply/crossapply/local/emulator/partition"
)

// anonymousConfig admits requests without credentials to the health endpoints
// only; anything else is 401. That is what EKS does from Kubernetes 1.32 on.
// https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions-standard.html
const anonymousConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions:
  - path: /healthz
  - path: /livez
  - path: /readyz
`

// auditPolicy records who asked for what, without bodies. A watch is recorded when
// it starts (ResponseStarted) and again when it ends; both carry one audit id.
// https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver", "system:anonymous"]
- level: Metadata
`

const auditLog = "audit.log"

// tokenLifetime is how long a token that was accepted is not looked at again.
const tokenLifetime = 5 * time.Second

// The headers of an authenticating proxy, for fleets.
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy
const (
	remoteUser  = "X-Remote-User"
	remoteUID   = "X-Remote-Uid"
	remoteGroup = "X-Remote-Group"
	remoteExtra = "X-Remote-Extra-"
)

// arguments is the API server's command line, close to EKS's where a client can
// tell, and otherwise what makes it start soon and stay small.
func (c *Cluster) arguments(port string) []string {
	return []string{
		"--etcd-servers=" + c.etcd,
		"--etcd-prefix=/" + c.ID(), // all that keeps the clusters apart in etcd

		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		"--secure-port=" + port,
		"--tls-cert-file=" + c.file("serving.crt"),
		"--tls-private-key-file=" + c.file("serving.key"),

		"--client-ca-file=" + c.file("ca.crt"),
		"--authentication-config=" + c.file("authentication.yaml"),
		"--authentication-token-webhook-config-file=" + c.file("webhook.kubeconfig"),
		"--authentication-token-webhook-version=v1",
		"--requestheader-client-ca-file=" + c.file("front-proxy-ca.crt"),
		"--requestheader-username-headers=" + remoteUser,
		"--requestheader-uid-headers=" + remoteUID,
		"--requestheader-group-headers=" + remoteGroup,
		"--requestheader-extra-headers-prefix=" + remoteExtra,
		// Long enough that one client's burst is one call to STS, and short enough that
		// a test sees a token refused soon after its identity lost its rights.
		"--authentication-token-webhook-cache-ttl=" + tokenLifetime.String(),
		"--authorization-mode=Node,RBAC",

		"--service-account-issuer=https://oidc.eks." + c.Region + "." + partition.Of(c.Region).Domain + "/id/" + c.Account + "-" + c.Name,
		"--service-account-key-file=" + c.file("service-account.key"),
		"--service-account-signing-key-file=" + c.file("service-account.key"),
		"--service-cluster-ip-range=10.100.0.0/16", // EKS's default
		"--endpoint-reconciler-type=none",          // a loopback address is no endpoint for Pods

		"--audit-policy-file=" + c.file("audit-policy.yaml"),
		"--audit-log-path=" + c.file(auditLog),
		"--audit-log-mode=blocking",
		"--audit-log-maxsize=0", // one file, whatever its size

		// Nothing here makes Pods; these would only hold watches and memory.
		"--disable-admission-plugins=ServiceAccount,RuntimeClass,StorageObjectInUseProtection,PersistentVolumeClaimResize",
		"--enable-priority-and-fairness=false",
		"--profiling=false",
	}
}

// writeFiles writes what the command line names.
func (c *Cluster) writeFiles(ca *authority, webhookCA, frontProxyCA []byte) error {
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return err
	}
	serving, err := ca.servingPair()
	if err != nil {
		return err
	}
	serviceAccountKey, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	webhook, err := webhookKubeconfig(c.hook, webhookCA)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"ca.crt":              ca.certPEM,
		"serving.crt":         serving.cert,
		"serving.key":         serving.key,
		"front-proxy-ca.crt":  frontProxyCA,
		"service-account.key": serviceAccountKey,
		"webhook.kubeconfig":  webhook,
		"authentication.yaml": []byte(anonymousConfig),
		"audit-policy.yaml":   []byte(auditPolicy),
	} {
		if err := os.WriteFile(c.file(name), data, 0o600); err != nil {
			return fmt.Errorf("write the API server's files: %w", err)
		}
	}
	return nil
}

// webhookKubeconfig is how an API server is told about a webhook: in the format of
// a kubeconfig.
func webhookKubeconfig(url string, ca []byte) ([]byte, error) {
	const name = "webhook"
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: url, CertificateAuthorityData: ca}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	})
}
