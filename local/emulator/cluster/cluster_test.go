package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/aws-iam-authenticator/pkg/token"

	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/cluster"
)

var (
	topics     = schema.GroupVersionResource{Group: "messaging.example.com", Version: "v1", Resource: "topics"}
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
)

// callers of the tests, by access key.
const (
	mappedKey    = "AKIAMAPPED0000000000" // has an access entry and RBAC
	grouplessKey = "AKIAGROUPLESS0000000" // has an access entry whose group no binding names
	unmappedKey  = "AKIAUNMAPPED00000000" // has no access entry
	adminKey     = "AKIAADMIN00000000000" // has the cluster admin policy
)

// stubSTS answers GetCallerIdentity as STS does, for requests that still carry what
// their signature covers. It checks no signature: that is the real one's business.
func stubSTS(t *testing.T) *url.URL {
	t.Helper()
	callers := map[string]string{
		mappedKey:    "arn:aws:sts::111111111111:assumed-role/deployer/run@1",
		grouplessKey: "arn:aws:sts::111111111111:assumed-role/groupless/run",
		unmappedKey:  "arn:aws:sts::111111111111:assumed-role/unmapped/run",
		adminKey:     "arn:aws:iam::111111111111:user/admins/root-of-all",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _, _ := strings.Cut(r.FormValue("X-Amz-Credential"), "/")
		arn := callers[key]
		if arn == "" || !strings.HasPrefix(r.Host, "sts.") || r.Header.Get("x-k8s-aws-id") == "" || r.FormValue("X-Amz-Signature") == "" {
			http.Error(w, `{"Error":{"Code":"InvalidClientTokenId"}}`, http.StatusForbidden)
			return
		}
		userID := "AROA" + key[4:]
		if session := arn[strings.LastIndex(arn, "/")+1:]; strings.Contains(arn, ":assumed-role/") {
			userID += ":" + session
		}
		result := map[string]any{"Account": "111111111111", "Arn": arn, "UserId": userID}
		_ = json.NewEncoder(w).Encode(map[string]any{"GetCallerIdentityResponse": map[string]any{"GetCallerIdentityResult": result}})
	}))
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// bearer makes a token with aws-iam-authenticator's own generator.
func bearer(t *testing.T, c *cluster.Cluster, accessKey string) string {
	t.Helper()
	return bearerFor(t, c.Spec, accessKey)
}

func bearerFor(t *testing.T, c cluster.Spec, accessKey string) string {
	t.Helper()
	generator, err := token.NewGenerator(false, false)
	if err != nil {
		t.Fatal(err)
	}
	client := sts.New(sts.Options{Region: c.Region, Credentials: credentials.NewStaticCredentialsProvider(accessKey, "secret", "")})
	made, err := generator.GetWithSTS(c.Name, client)
	if err != nil {
		t.Fatal(err)
	}
	return made.Token
}

func clientFor(t *testing.T, config *rest.Config) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// tokenConfig has what a caller on EKS has: endpoint, CA and a token.
func tokenConfig(t *testing.T, c *cluster.Cluster, accessKey string) *rest.Config {
	t.Helper()
	return &rest.Config{Host: c.Endpoint(), BearerToken: bearer(t, c, accessKey), TLSClientConfig: rest.TLSClientConfig{CAData: c.CAData}}
}

func exampleObjects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objects, err := cluster.DecodeFiles(os.DirFS("testdata"), "objects.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func start(t *testing.T, config cluster.Config) *cluster.ControlPlane {
	t.Helper()
	var err error
	if config.Binaries, err = binaries.Find(t.Context(), os.Stderr); err != nil {
		t.Fatal(err)
	}
	if config.STS == nil {
		config.STS = stubSTS(t)
	}
	config.Dir = filepath.Join(t.TempDir(), "world")
	cp, err := cluster.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Close(); err != nil {
			t.Error(err)
		}
	})
	return cp
}

// TestControlPlane starts two real clusters once and looks at them from all sides.
func TestControlPlane(t *testing.T) {
	entries := []cluster.AccessEntry{
		{PrincipalARN: "arn:aws:iam::111111111111:role/teams/deployer", Groups: []string{"deployers"}},
		{PrincipalARN: "arn:aws:iam::111111111111:role/groupless", Groups: []string{"unbound"}},
		{PrincipalARN: "arn:aws:iam::111111111111:user/admins/root-of-all", ClusterAdmin: true},
	}
	began := time.Now()
	cp := start(t, cluster.Config{Clusters: []cluster.Spec{
		{Name: "payments", Account: "111111111111", Region: "eu-west-1", AccessEntries: entries, Objects: exampleObjects(t)},
		{Name: "payments", Account: "222222222222", Region: "us-east-1", AccessEntries: entries[1:], Objects: exampleObjects(t)},
	}})
	t.Logf("two clusters ready after %s", time.Since(began).Round(100*time.Millisecond))
	first, second := cp.Clusters()[0], cp.Clusters()[1]

	t.Run("version", func(t *testing.T) {
		if !strings.HasPrefix(first.Version(), "1.") || strings.HasSuffix(first.Version(), ".0") {
			t.Errorf("version = %q, want that of a release", first.Version())
		}
	})
	t.Run("access", func(t *testing.T) { testAccess(t, first, second) })
	t.Run("anonymous", func(t *testing.T) { testAnonymous(t, first) })
	t.Run("requests", func(t *testing.T) { testRequests(t, first) })
	t.Run("isolation", func(t *testing.T) { testIsolation(t, first, second) })
	t.Run("kubeconfig", func(t *testing.T) { testKubeconfig(t, cp) })
	t.Run("stop and start", func(t *testing.T) { testStopStart(t, first, second) })
}

func testAccess(t *testing.T, first, second *cluster.Cluster) {
	tests := []struct {
		name    string
		cluster *cluster.Cluster
		key     string
		want    int32 // HTTP status, 200 for none
	}{
		{"mapped, with RBAC", first, mappedKey, 200},
		{"mapped, without RBAC", first, grouplessKey, 403},
		{"not mapped", first, unmappedKey, 401},
		{"not mapped on this cluster", second, mappedKey, 401},
		{"cluster admin", second, adminKey, 200},
		{"unknown to STS", first, "AKIANOBODY0000000000", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := clientFor(t, tokenConfig(t, tt.cluster, tt.key))
			_, err := client.Resource(topics).Namespace("kafka").List(t.Context(), metav1.ListOptions{})
			if got := status(err); got != tt.want {
				t.Errorf("status = %d (%v), want %d", got, err, tt.want)
			}
		})
	}
	t.Run("damaged token", func(t *testing.T) {
		config := tokenConfig(t, first, adminKey)
		config.BearerToken += "x"
		_, err := clientFor(t, config).Resource(topics).List(t.Context(), metav1.ListOptions{})
		if status(err) != 401 {
			t.Errorf("status = %d (%v), want 401", status(err), err)
		}
	})
}

func status(err error) int32 {
	var failed apierrors.APIStatus
	switch {
	case err == nil:
		return 200
	case errors.As(err, &failed):
		return failed.Status().Code
	}
	return 0
}

func testAnonymous(t *testing.T, c *cluster.Cluster) {
	config := rest.AnonymousClientConfig(c.AdminConfig())
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/readyz": 200, "/livez": 200, "/version": 401, "/api": 401} {
		resp, err := client.Get(c.Endpoint() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func testRequests(t *testing.T, c *cluster.Cluster) {
	mark, err := c.Mark()
	if err != nil {
		t.Fatal(err)
	}
	client := clientFor(t, tokenConfig(t, c, mappedKey)).Resource(topics).Namespace("kafka")
	watch, err := client.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	if _, err := client.Get(t.Context(), "absent", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Fatalf("get: %v, want not found", err)
	}
	dryRun := metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := client.Patch(t.Context(), "absent", types.MergePatchType, []byte(`{}`), dryRun); !apierrors.IsNotFound(err) {
		t.Fatalf("patch: %v, want not found", err)
	}
	requests, err := c.Requests(mark)
	if err != nil {
		t.Fatal(err)
	}
	const user = "arn:aws:sts::111111111111:assumed-role/deployer/run-1" // @ became -
	want := []cluster.Request{
		{User: user, Verb: "watch", Resource: "topics.messaging.example.com", Namespace: "kafka", Code: 200},
		{User: user, Verb: "get", Resource: "topics.messaging.example.com", Namespace: "kafka", Name: "absent", Code: 404},
		{User: user, Verb: "patch", Resource: "topics.messaging.example.com", Namespace: "kafka", Name: "absent", DryRun: true, Code: 404},
	}
	if got := timeless(t, requests); !slices.Equal(got, want) {
		t.Errorf("requests = %+v\nwant %+v", got, want)
	}
}

// timeless returns requests without their times, which are of this hour.
func timeless(t *testing.T, requests []cluster.Request) []cluster.Request {
	t.Helper()
	for i, r := range requests {
		if time.Since(r.Received) > time.Hour || r.Answered.Before(r.Received) {
			t.Errorf("a request from %s to %s", r.Received, r.Answered)
		}
		requests[i].Received, requests[i].Answered = time.Time{}, time.Time{}
	}
	return requests
}

func orders() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "messaging.example.com/v1", "kind": "Topic",
		"metadata": map[string]any{"name": "orders"}, "spec": map[string]any{"partitions": int64(3)},
	}}
}

func testIsolation(t *testing.T, first, second *cluster.Cluster) {
	if _, err := clientFor(t, first.AdminConfig()).Resource(topics).Namespace("kafka").Create(t.Context(), orders(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := clientFor(t, second.AdminConfig()).Resource(topics).Namespace("kafka").Get(t.Context(), "orders", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the second cluster answers %v for the first one's object, want not found", err)
	}
	crossed := second.AdminConfig()
	crossed.Host, crossed.CAData = first.Endpoint(), first.CAData
	_, err = clientFor(t, crossed).Resource(topics).List(t.Context(), metav1.ListOptions{})
	if status(err) != 401 {
		t.Errorf("the first cluster answers %v to the second one's admin, want 401", err)
	}
}

// testKubeconfig reads with kubectl and the AWS CLI, as a person would, with an
// endpoint override in the environment that must not reach the token.
func testKubeconfig(t *testing.T, cp *cluster.ControlPlane) {
	for _, tool := range []string{"kubectl", "aws"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the kubeconfig is for it", tool)
		}
	}
	config := cluster.Kubeconfig(cp.Clusters(), func(*cluster.Cluster) map[string]string {
		return map[string]string{"AWS_ACCESS_KEY_ID": mappedKey, "AWS_SECRET_ACCESS_KEY": "secret"}
	})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "kubectl", "--kubeconfig", path, "--cache-dir", t.TempDir(),
		"--context", "111111111111/eu-west-1/payments", "get", "topics.messaging.example.com", "--namespace", "kafka", "--output", "name")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL=http://127.0.0.1:1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "topic.messaging.example.com/orders") {
		t.Errorf("kubectl get: %v\n%s", err, out)
	}
}

func testStopStart(t *testing.T, first, second *cluster.Cluster) {
	endpoint := first.Endpoint()
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	client := clientFor(t, first.AdminConfig()).Resource(topics).Namespace("kafka")
	if _, err := client.Get(t.Context(), "orders", metav1.GetOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped cluster answers %v, want connection refused", err)
	}
	if _, err := clientFor(t, second.AdminConfig()).Resource(topics).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("the other cluster answers %v", err)
	}
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if first.Endpoint() != endpoint {
		t.Errorf("endpoint = %s after a restart, want %s", first.Endpoint(), endpoint)
	}
	if _, err := client.Get(t.Context(), "orders", metav1.GetOptions{}); err != nil {
		t.Errorf("get after a restart: %v", err)
	}
	if err := first.Start(t.Context()); err == nil {
		t.Error("starting a running cluster is no error")
	}
}

// TestIntercept has a handler before the API server that hands on what is no
// deletion.
func TestIntercept(t *testing.T) {
	entries := []cluster.AccessEntry{{PrincipalARN: "arn:aws:iam::111111111111:user/admins/root-of-all", ClusterAdmin: true}}
	cp := start(t, cluster.Config{
		Clusters: []cluster.Spec{{Name: "payments", Account: "111111111111", Region: "eu-west-1", AccessEntries: entries, Objects: exampleObjects(t)}},
		Intercept: func(spec cluster.Spec, apiserver http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Warning", `299 - "through `+spec.Name+`"`)
				apiserver.ServeHTTP(w, r)
			})
		},
	})
	c := cp.Clusters()[0]
	warned := warnings{}
	config := tokenConfig(t, c, adminKey)
	config.WarningHandler = warned
	client := clientFor(t, config).Resource(topics).Namespace("kafka")
	if _, err := client.Create(t.Context(), orders(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	watcher, err := client.Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=orders"})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	if event := <-watcher.ResultChan(); event.Type != watch.Added {
		t.Errorf("the watch begins with %s", event.Type)
	}
	if err := client.Delete(t.Context(), "orders", metav1.DeleteOptions{}); err == nil {
		t.Error("a request that was not handed on is answered")
	}
	direct := clientFor(t, c.AdminConfig()).Resource(topics).Namespace("kafka")
	if err := direct.Delete(t.Context(), "orders", metav1.DeleteOptions{}); err != nil {
		t.Errorf("the administrator deletes: %v", err)
	}
	if event := <-watcher.ResultChan(); event.Type != watch.Deleted {
		t.Errorf("the watch goes on with %s", event.Type)
	}
	if !warned["through payments"] {
		t.Errorf("warnings %v", warned)
	}
	endpoint := c.Endpoint()
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.List(t.Context(), metav1.ListOptions{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped cluster answers %v, want connection refused", err)
	}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.List(t.Context(), metav1.ListOptions{}); err != nil || c.Endpoint() != endpoint {
		t.Errorf("list after a restart at %s: %v", c.Endpoint(), err)
	}
}

// warnings are those that the server sent.
type warnings map[string]bool

func (w warnings) HandleWarningHeader(_ int, _, text string) { w[text] = true }

func TestStartCanceled(t *testing.T) {
	found, err := binaries.Find(t.Context(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	// Enough for etcd to be up, and not for an API server.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "world")
	_, err = cluster.Start(ctx, cluster.Config{
		Binaries: found, STS: stubSTS(t), Dir: dir,
		Clusters: []cluster.Spec{{Name: "a", Account: "111111111111", Region: "eu-west-1"}},
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error = %v, want deadline exceeded", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the data folder is still there: %v", err)
	}
	if out, err := exec.CommandContext(t.Context(), "pgrep", "-f", dir).Output(); err == nil {
		t.Errorf("still running: %s", out)
	}
}

func TestStartRefuses(t *testing.T) {
	local := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	good := cluster.Spec{Name: "a", Account: "111111111111", Region: "eu-west-1"}
	with := func(change func(*cluster.Spec)) []cluster.Spec {
		spec := good
		change(&spec)
		return []cluster.Spec{spec}
	}
	tests := map[string]cluster.Config{
		"no STS":         {Clusters: []cluster.Spec{good}},
		"STS not a URL":  {STS: &url.URL{Path: "localhost"}, Clusters: []cluster.Spec{good}},
		"twice the same": {STS: local, Clusters: []cluster.Spec{good, good}},
		"bad name":       {STS: local, Clusters: with(func(s *cluster.Spec) { s.Name = "../up" })},
		"bad account":    {STS: local, Clusters: with(func(s *cluster.Spec) { s.Account = "1" })},
		"bad region":     {STS: local, Clusters: with(func(s *cluster.Spec) { s.Region = "Europe" })},
		"session as principal": {STS: local, Clusters: with(func(s *cluster.Spec) {
			s.AccessEntries = []cluster.AccessEntry{{PrincipalARN: "arn:aws:sts::111111111111:assumed-role/r/s"}}
		})},
		"no binaries": {STS: local, Binaries: cluster.Binaries{Etcd: "/nonexistent/etcd"}, Clusters: []cluster.Spec{good}},
	}
	for name, config := range tests {
		t.Run(name, func(t *testing.T) {
			cp, err := cluster.Start(t.Context(), config)
			if err == nil {
				_ = cp.Close()
				t.Fatal("started")
			}
			t.Log(err)
		})
	}
}
