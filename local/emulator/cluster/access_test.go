package cluster

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/aws-iam-authenticator/pkg/token"
)

func TestIdentify(t *testing.T) {
	role := func(session string) *token.Identity {
		return &token.Identity{
			ARN:          "arn:aws:sts::111111111111:assumed-role/access/" + session,
			CanonicalARN: "arn:aws:iam::111111111111:role/access",
			AccountID:    "111111111111", UserID: "AROAX", SessionName: session,
		}
	}
	user := &token.Identity{ARN: "arn:aws:iam::111111111111:user/a/b", CanonicalARN: "arn:aws:iam::111111111111:user/a/b", AccountID: "111111111111", UserID: "AIDAX"}
	tests := []struct {
		name     string
		identity *token.Identity
		entry    AccessEntry
		username string // empty: refused
		groups   []string
	}{
		{"role", role("s"), AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:role/access", Groups: []string{"g"}},
			"arn:aws:sts::111111111111:assumed-role/access/s", []string{"g"}},
		{"role with a path", role("s"), AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:role/team/a/access"},
			"arn:aws:sts::111111111111:assumed-role/access/s", nil},
		{"session with @", role("jo@example.com"), AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:role/access"},
			"arn:aws:sts::111111111111:assumed-role/access/jo-example.com", nil},
		{"admin", role("s"), AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:role/access", Groups: []string{"g"}, ClusterAdmin: true},
			"arn:aws:sts::111111111111:assumed-role/access/s", []string{"g", "system:masters"}},
		{"user keeps its path", user, AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:user/a/b"}, "arn:aws:iam::111111111111:user/a/b", nil},
		{"another user's path", user, AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:user/b"}, "", nil},
		{"another account", role("s"), AccessEntry{PrincipalARN: "arn:aws:iam::222222222222:role/access"}, "", nil},
		{"another role", role("s"), AccessEntry{PrincipalARN: "arn:aws:iam::111111111111:role/access2"}, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := identify(tt.identity, []AccessEntry{tt.entry})
			if tt.username == "" {
				if !errors.Is(err, errNoAccessEntry) {
					t.Fatalf("%+v, %v, want no access entry", got, err)
				}
				return
			}
			if err != nil || got.Username != tt.username || !slices.Equal(got.Groups, tt.groups) {
				t.Errorf("%+v, %v, want %s in %v", got, err, tt.username, tt.groups)
			}
		})
	}
}

func TestRouteSTS(t *testing.T) {
	var host, query string
	sts := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host, query = r.Host, r.URL.RawQuery }))
	defer sts.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "elsewhere") }))
	defer elsewhere.Close()
	to, err := url.Parse(sts.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := http.DefaultTransport

	undo, err := routeSTS("aws", to)
	if err != nil {
		t.Fatal(err)
	}
	again, err := routeSTS("aws", to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := routeSTS("aws", &url.URL{Scheme: "http", Host: "127.0.0.1:1"}); err == nil {
		t.Error("a second address is no error")
	}
	if _, ok := http.DefaultTransport.(*http.Transport); !ok {
		t.Errorf("http.DefaultTransport became a %T", http.DefaultTransport)
	}
	get(t, "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&X-Amz-Signature=%2F")
	if host != "sts.eu-west-1.amazonaws.com" || query != "Action=GetCallerIdentity&X-Amz-Signature=%2F" {
		t.Errorf("STS saw host %q and query %q", host, query)
	}
	if got := get(t, elsewhere.URL); got != "elsewhere" {
		t.Errorf("another host answers %q", got)
	}

	// A partition has its own: so worlds in several may run beside each other.
	china, err := routeSTS("aws-cn", to)
	if err != nil {
		t.Fatal(err)
	}
	get(t, "https://sts.cn-north-1.amazonaws.com.cn/")
	if host != "sts.cn-north-1.amazonaws.com.cn" {
		t.Errorf("STS saw host %q", host)
	}
	china()
	for _, host := range []string{"sts.cn-north-1.amazonaws.com.cn", "sts.cn-north-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com",
		"sts.eu-west-1.amazonaws.com.cn", "s3.eu-west-1.amazonaws.com", "sts.example.com"} {
		if _, ok := localSTS(host); ok {
			t.Errorf("%s goes to the local STS of partition aws", host)
		}
	}
	if _, ok := localSTS("sts.amazonaws.com"); !ok {
		t.Error("the global STS does not go to the local one of partition aws")
	}

	undo()
	undo() // counts once
	get(t, "https://sts.us-east-1.amazonaws.com/")
	if host != "sts.us-east-1.amazonaws.com" {
		t.Error("the route is gone while someone uses it")
	}
	again()
	if http.DefaultTransport != before {
		t.Error("http.DefaultTransport is not what it was")
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestParseAudit(t *testing.T) {
	const lines = `{"auditID":"1","stage":"ResponseStarted","verb":"watch","requestURI":"/apis/x","user":{"username":"u"},"objectRef":{"resource":"topics","namespace":"n","apiGroup":"g"},"responseStatus":{"code":200}}
{"auditID":"2","stage":"ResponseComplete","verb":"get","requestURI":"/version","user":{"username":"u"},"responseStatus":{"code":200}}
{"auditID":"1","stage":"ResponseComplete","verb":"watch","requestURI":"/apis/x","user":{"username":"u"},"objectRef":{"resource":"topics","namespace":"n","apiGroup":"g"},"responseStatus":{"code":200}}
{"auditID":"3","stage":"ResponseComplete","verb":"update","requestURI":"/x","user":{"username":"u"},"objectRef":{"resource":"nodes","name":"a","subresource":"status"},"responseStatus":{"code":409}}
{"auditID":"4","stage":"Resp`
	got, err := parseAudit(strings.NewReader(lines), func(auditEvent) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	want := []Request{
		{User: "u", Verb: "watch", Resource: "topics.g", Namespace: "n", Code: 200},
		{User: "u", Verb: "get", Resource: "/version", Code: 200},
		{User: "u", Verb: "update", Resource: "nodes/status", Name: "a", Code: 409},
	}
	if !slices.Equal(got, want) {
		t.Errorf("requests = %+v\nwant %+v", got, want)
	}
	if _, err := parseAudit(strings.NewReader("no JSON\n"), nil); err == nil {
		t.Error("a damaged record is no error")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no name":       "apiVersion: v1\nkind: Namespace\n",
		"no kind":       "apiVersion: v1\nmetadata: {name: a}\n",
		"not an object": "- a\n",
	} {
		if got, err := Decode(strings.NewReader(text)); err == nil {
			t.Errorf("%s: decoded %v", name, got)
		}
	}
	got, err := Decode(strings.NewReader("# nothing\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"))
	if err != nil || len(got) != 1 || got[0].GetName() != "a" {
		t.Errorf("decoded %v, %v, want one namespace", got, err)
	}
}
