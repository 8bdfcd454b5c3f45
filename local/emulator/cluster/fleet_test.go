package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/cluster"
)

// TestFleet compares virtual clusters with a real one.
func TestFleet(t *testing.T) {
	entries := []cluster.AccessEntry{
		{PrincipalARN: "arn:aws:iam::111111111111:user/deployer", Groups: []string{"deployers"}},
		{PrincipalARN: "arn:aws:iam::111111111111:user/root-of-all", ClusterAdmin: true},
	}
	sts := localSTS(t)
	cp := start(t, cluster.Config{STS: sts, Clusters: []cluster.Spec{
		{Name: "payments", Account: "111111111111", Region: "eu-west-1", AccessEntries: entries, Objects: exampleObjects(t)},
		{Name: "shared", Account: "999999999999", Region: "eu-west-1", Objects: exampleObjects(t)[1:]},
	}})
	single, shared := cp.Clusters()[0], cp.Clusters()[1]
	kafka := exampleObjects(t)[:1]
	fleet, err := cluster.StartFleet(cluster.FleetConfig{
		Servers: []*cluster.Cluster{shared}, STS: sts,
		Clusters: []cluster.Spec{
			{Name: "payments", Account: "111111111111", Region: "eu-west-1", AccessEntries: entries, Objects: kafka},
			{Name: "retail", Account: "111111111111", Region: "eu-west-1", AccessEntries: entries[1:], Objects: kafka},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	first, second := fleet.Clusters()[0], fleet.Clusters()[1]
	t.Run("like a real one", func(t *testing.T) { testLikeReal(t, single, first) })
	t.Run("apart", func(t *testing.T) { testApart(t, first, second) })
	t.Run("access", func(t *testing.T) { testFleetAccess(t, first, second) })
	t.Run("requests", func(t *testing.T) { testFleetRequests(t, first, second, shared) })
	t.Run("ten thousand", func(t *testing.T) { testLargeFleet(t, shared, sts) })
}

// localSTS is one that checks signatures: a token's signature covers the cluster
// that it is for.
func localSTS(t *testing.T) *url.URL {
	t.Helper()
	config := awsapi.Config{Accounts: []iam.Account{{ID: "111111111111"}}}
	for key, name := range map[string]string{mappedKey: "deployer", adminKey: "root-of-all", unmappedKey: "unmapped"} {
		config.Users = append(config.Users, iam.User{Account: "111111111111", Name: name, AccessKeyID: key, SecretAccessKey: "secret"})
	}
	server, err := awsapi.Start(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	address, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// step is a request whose answers are compared. Its user is the deployer, or the
// admin.
type step struct {
	name, method, path string
	admin              bool
	contentType, body  string // the body of a PUT is what the path answers, changed by edit
	edit               func(*unstructured.Unstructured)
	code               int
}

const (
	kafkaTopics = "/apis/messaging.example.com/v1/namespaces/kafka/topics"
	allTopics   = "/apis/messaging.example.com/v1/topics"
	asTable     = "?as=table" // stands for a header
	reviews     = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
)

func topicBody(name, rest string) string {
	return `{"apiVersion":"messaging.example.com/v1","kind":"Topic","metadata":{"name":"` + name + `","namespace":"kafka"}` + rest + `}`
}

func reviewBody(namespace, verb string) string {
	return `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":"` + namespace +
		`","verb":"` + verb + `","group":"messaging.example.com","resource":"topics"}}}`
}

var steps = []step{
	{name: "the groups", method: "GET", path: "/apis", code: 200},
	{name: "the kinds of a group", method: "GET", path: "/apis/messaging.example.com/v1", code: 200},
	{name: "the core kinds", method: "GET", path: "/api/v1", code: 200},
	{name: "the version", method: "GET", path: "/version", code: 200},
	{name: "a health check", method: "GET", path: "/readyz", code: 200},
	{name: "who am I", method: "POST", path: "/apis/authentication.k8s.io/v1/selfsubjectreviews", contentType: "application/json", body: `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`, code: 201},
	{name: "get what is not there", method: "GET", path: kafkaTopics + "/orders", code: 404},
	{name: "create", method: "POST", path: kafkaTopics + "?fieldManager=a", contentType: "application/json", body: topicBody("orders", `,"spec":{"partitions":1}`), code: 201},
	{name: "create again", method: "POST", path: kafkaTopics, contentType: "application/json", body: topicBody("orders", ""), code: 409},
	{name: "create in YAML", method: "POST", path: kafkaTopics, contentType: "application/yaml", body: "apiVersion: messaging.example.com/v1\nkind: Topic\nmetadata: {name: yaml}\n", code: 201},
	{name: "create what is not allowed by the schema", method: "POST", path: kafkaTopics, contentType: "application/json", body: topicBody("bad", `,"spec":{"partitions":"x"}`), code: 422},
	{name: "create in no namespace", method: "POST", path: "/apis/messaging.example.com/v1/namespaces/nowhere/topics", contentType: "application/json", body: strings.Replace(topicBody("a", ""), `,"namespace":"kafka"`, "", 1), code: 404},
	{name: "create with another namespace in the body", method: "POST", path: "/apis/messaging.example.com/v1/namespaces/default/topics", contentType: "application/json", body: topicBody("a", ""), code: 400},
	{name: "apply", method: "PATCH", path: kafkaTopics + "/applied?fieldManager=b", contentType: "application/apply-patch+yaml", body: topicBody("applied", `,"spec":{"partitions":2}`), code: 201},
	{name: "apply in YAML", method: "PATCH", path: kafkaTopics + "/applied?fieldManager=b", contentType: "application/apply-patch+yaml", body: "apiVersion: messaging.example.com/v1\nkind: Topic\nmetadata: {name: applied, namespace: kafka, labels: {a: b}}\nspec: {partitions: 3}\n", code: 200},
	{name: "apply what another manager has", method: "PATCH", path: kafkaTopics + "/applied?fieldManager=c", contentType: "application/apply-patch+yaml", body: topicBody("applied", `,"spec":{"partitions":4}`), code: 409},
	{name: "apply by force", method: "PATCH", path: kafkaTopics + "/applied?fieldManager=c&force=true", contentType: "application/apply-patch+yaml", body: topicBody("applied", `,"spec":{"partitions":4}`), code: 200},
	{name: "dry run", method: "PATCH", path: kafkaTopics + "/dry?fieldManager=c&dryRun=All", contentType: "application/apply-patch+yaml", body: topicBody("dry", ""), code: 201},
	{name: "merge patch", method: "PATCH", path: kafkaTopics + "/orders", contentType: "application/merge-patch+json", body: `{"metadata":{"namespace":"kafka","annotations":{"n":"1e400, 12345678901234567890"}}}`, code: 200},
	{name: "JSON patch", method: "PATCH", path: kafkaTopics + "/orders", contentType: "application/json-patch+json", body: `[{"op":"add","path":"/spec/partitions","value":7}]`, code: 200},
	{name: "update", method: "PUT", path: kafkaTopics + "/orders", admin: true, contentType: "application/json", edit: func(o *unstructured.Unstructured) { o.SetLabels(map[string]string{"c": "d"}) }, code: 200},
	{name: "update of what has changed", method: "PUT", path: kafkaTopics + "/orders", admin: true, contentType: "application/json", edit: func(o *unstructured.Unstructured) { o.SetResourceVersion("1") }, code: 409},
	{name: "get", method: "GET", path: kafkaTopics + "/orders", code: 200},
	{name: "get as a table", method: "GET", path: kafkaTopics + "/orders" + asTable, code: 200},
	{name: "list", method: "GET", path: kafkaTopics, code: 200},
	{name: "list by a field", method: "GET", path: kafkaTopics + "?fieldSelector=metadata.name%3Dorders,metadata.namespace%3Dkafka", code: 200},
	{name: "list all namespaces", method: "GET", path: allTopics, code: 200},
	{name: "list all namespaces as a table", method: "GET", path: allTopics + asTable, code: 200},
	{name: "watch", method: "GET", path: kafkaTopics + "?watch=true&timeoutSeconds=1", code: 200},
	{name: "watch all namespaces", method: "GET", path: allTopics + "?watch=1&timeoutSeconds=1", code: 200},
	{name: "may I", method: "POST", path: reviews, contentType: "application/json", body: reviewBody("kafka", "patch"), code: 201},
	{name: "may I not", method: "POST", path: reviews, contentType: "application/json", body: reviewBody("kafka", "delete"), code: 201},
	{name: "get what is forbidden", method: "GET", path: "/api/v1/namespaces/kafka/secrets/a", code: 403},
	{name: "list what is forbidden", method: "GET", path: "/api/v1/secrets", code: 403},
	{name: "an unknown kind", method: "GET", path: "/apis/messaging.example.com/v1/namespaces/kafka/queues/a", admin: true, code: 404},
	{name: "an unknown media type", method: "POST", path: kafkaTopics, contentType: "text/plain", body: "x", code: 415},
	{name: "get a namespace", method: "GET", path: "/api/v1/namespaces/kafka", admin: true, code: 200},
	{name: "create a namespace", method: "POST", path: "/api/v1/namespaces?fieldManager=a", admin: true, contentType: "application/json", body: `{"metadata":{"name":"extra","labels":{"kubernetes.io/metadata.name":"extra"}}}`, code: 201},
	{name: "list namespaces", method: "GET", path: "/api/v1/namespaces", admin: true, code: 200},
	{name: "watch a namespace", method: "GET", path: "/api/v1/namespaces?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dextra", admin: true, code: 200},
	{name: "create in a new namespace", method: "POST", path: "/api/v1/namespaces/extra/configmaps", admin: true, contentType: "application/json", body: `{"metadata":{"name":"a"},"data":{"k":"v"}}`, code: 201},
	{name: "delete a namespace", method: "DELETE", path: "/api/v1/namespaces/extra", admin: true, code: 200},
	{name: "create in a namespace that ends", method: "POST", path: "/api/v1/namespaces/extra/configmaps", admin: true, contentType: "application/json", body: `{"metadata":{"name":"b"}}`, code: 403},
	{name: "delete", method: "DELETE", path: kafkaTopics + "/orders", admin: true, code: 200},
	{name: "delete what is not allowed", method: "DELETE", path: kafkaTopics + "/yaml", code: 403},
	{name: "delete a collection", method: "DELETE", path: kafkaTopics, admin: true, code: 200},
	{name: "without credentials", method: "GET", path: "/readyz?anonymous", code: 200},
}

func testLikeReal(t *testing.T, single *cluster.Cluster, virtual *cluster.Virtual) {
	type server struct {
		deployer, admin *rest.Config
	}
	of := func(spec cluster.Spec, endpoint string, ca []byte) server {
		config := func(key string) *rest.Config {
			return &rest.Config{Host: endpoint, BearerToken: bearerFor(t, spec, key), TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
		}
		return server{config(mappedKey), config(adminKey)}
	}
	servers := []server{of(single.Spec, single.Endpoint(), single.CAData), of(virtual.Spec, virtual.Endpoint(), virtual.CAData())}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			var answers [2]any
			for i, server := range servers {
				config := server.deployer
				if s.admin {
					config = server.admin
				}
				code, body := s.do(t, config)
				if code != s.code {
					t.Errorf("server %d: %d, want %d: %s", i, code, s.code, body)
				}
				answers[i] = documents(t, body)
			}
			if !reflect.DeepEqual(answers[0], answers[1]) {
				t.Errorf("a real cluster answers\n%v\nthe virtual one\n%v", answers[0], answers[1])
			}
		})
	}
}

func (s step) do(t *testing.T, config *rest.Config) (int, []byte) {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	body := s.body
	if s.edit != nil {
		get := step{method: "GET", path: s.path, admin: s.admin}
		_, read := get.do(t, config)
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(read); err != nil {
			t.Fatal(err)
		}
		s.edit(object)
		edited, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		body = string(edited)
	}
	path, table := strings.CutSuffix(s.path, asTable)
	request, err := http.NewRequestWithContext(t.Context(), s.method, config.Host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", s.contentType)
	if table {
		request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	}
	resp, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// documents is an answer's documents without what differs from one object to the
// next.
func documents(t *testing.T, body []byte) []any {
	t.Helper()
	var all []any
	for decoder := json.NewDecoder(strings.NewReader(string(body))); ; {
		var document any
		err := decoder.Decode(&document)
		if err == io.EOF {
			return all
		}
		if err != nil {
			return []any{string(body)} // /readyz
		}
		all = append(all, without(document))
	}
}

func without(value any) any {
	switch value := value.(type) {
	case map[string]any:
		labels, _ := value["labels"].(map[string]any)
		if labels["kubernetes.io/metadata.name"] != nil { // a real cluster's namespaces have several makers
			delete(value, "managedFields")
		}
		for _, name := range []string{"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "time"} {
			delete(value, name)
		}
		for name, member := range value {
			value[name] = without(member)
		}
		if cells, ok := value["cells"].([]any); ok {
			value["cells"] = cells[:1] // the others are ages
		}
	case []any:
		for i := range value {
			value[i] = without(value[i])
		}
	}
	return value
}

// testApart looks from one virtual cluster for what is in another one on the same
// API server.
func testApart(t *testing.T, first, second *cluster.Virtual) {
	mine := clientFor(t, first.AdminConfig()).Resource(topics)
	others := clientFor(t, second.AdminConfig()).Resource(topics)
	watch, err := others.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	if _, err := mine.Namespace("kafka").Create(t.Context(), orders(), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := others.Namespace("kafka").Get(t.Context(), "orders", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the second cluster answers %v for the first one's object, want not found", err)
	}
	list, err := others.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 0 {
		t.Errorf("the second cluster lists %v, %v, want nothing", list, err)
	}
	namespaces, err := clientFor(t, second.AdminConfig()).Resource(namespaces).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, namespace := range namespaces.Items {
		names = append(names, namespace.GetName())
	}
	if want := []string{"default", "kafka", "kube-node-lease", "kube-public", "kube-system"}; !slices.Equal(names, want) {
		t.Errorf("the second cluster has the namespaces %q, want %q", names, want)
	}
	own := orders()
	own.SetName("own")
	if _, err := others.Namespace("kafka").Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The first event is about the second object, so there was none about the first.
	event := <-watch.ResultChan()
	if seen, ok := event.Object.(*unstructured.Unstructured); !ok || seen.GetName() != "own" || seen.GetNamespace() != "kafka" {
		t.Errorf("the second cluster's watch sees %v", event.Object)
	}
}

func testFleetAccess(t *testing.T, first, second *cluster.Virtual) {
	list := func(v *cluster.Virtual, token string) int32 {
		config := &rest.Config{Host: v.Endpoint(), BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: v.CAData()}}
		_, err := clientFor(t, config).Resource(topics).Namespace("kafka").List(t.Context(), metav1.ListOptions{})
		return status(err)
	}
	tests := []struct {
		name  string
		to    *cluster.Virtual
		token string
		want  int32
	}{
		{"mapped", first, bearerFor(t, first.Spec, mappedKey), 200},
		{"not mapped", first, bearerFor(t, first.Spec, unmappedKey), 401},
		{"not mapped on this cluster", second, bearerFor(t, second.Spec, mappedKey), 401},
		{"admin", second, bearerFor(t, second.Spec, adminKey), 200},
		{"a token for another cluster", second, bearerFor(t, first.Spec, adminKey), 401},
		{"an admin of another cluster", second, first.AdminConfig().BearerToken, 401},
		{"no token", second, "", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := list(tt.to, tt.token); got != tt.want {
				t.Errorf("status = %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("a user in a header", func(t *testing.T) {
		config := &rest.Config{Host: first.Endpoint(), BearerToken: "x", TLSClientConfig: rest.TLSClientConfig{CAData: first.CAData()}}
		config.Wrap(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				r.Header.Set("X-Remote-User", "admin")
				r.Header.Set("X-Remote-Group", "system:masters")
				return next.RoundTrip(r)
			})
		})
		_, err := clientFor(t, config).Resource(topics).List(t.Context(), metav1.ListOptions{})
		if status(err) != 401 {
			t.Errorf("status = %d (%v), want 401", status(err), err)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func testFleetRequests(t *testing.T, first, second *cluster.Virtual, shared *cluster.Cluster) {
	mark, err := first.Mark()
	if err != nil {
		t.Fatal(err)
	}
	before, err := shared.Served()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*cluster.Virtual{second, first} {
		_, _ = clientFor(t, v.AdminConfig()).Resource(topics).Namespace("kafka").Get(t.Context(), "absent-"+v.Name, metav1.GetOptions{})
	}
	requests, err := first.Requests(mark)
	if err != nil {
		t.Fatal(err)
	}
	got := timeless(t, requests)
	want := []cluster.Request{{User: "admin", Verb: "get", Resource: "topics.messaging.example.com", Namespace: "kafka", Name: "absent-payments", Code: 404}}
	if !slices.Equal(got, want) {
		t.Errorf("requests = %+v\nwant %+v", got, want)
	}
	after, err := shared.Served()
	if err != nil {
		t.Fatal(err)
	}
	if after["GET"] < before["GET"]+2 || after.Total() < before.Total()+2 {
		t.Errorf("the API server has served %v, before that %v", after, before)
	}
}

// testLargeFleet expects that a cluster that nobody calls costs next to nothing.
func testLargeFleet(t *testing.T, shared *cluster.Cluster, sts *url.URL) {
	config := cluster.FleetConfig{Servers: []*cluster.Cluster{shared}, STS: sts}
	kafka := exampleObjects(t)[:1]
	for i := range 10_000 {
		config.Clusters = append(config.Clusters, cluster.Spec{Name: fmt.Sprintf("c%05d", i), Account: "111111111111", Region: "eu-west-1", Objects: kafka})
	}
	before := runtime.NumGoroutine()
	fleet, err := cluster.StartFleet(config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fleet.Close() }()
	if more := runtime.NumGoroutine() - before; more > 10 {
		t.Errorf("the fleet has %d goroutines", more)
	}
	for _, i := range []int{2, 9_999} { // the first two have the namespaces of the other fleet's
		list, err := clientFor(t, fleet.Clusters()[i].AdminConfig()).Resource(topics).Namespace("kafka").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("cluster %d: %v, %v", i, list, err)
		}
	}
}
