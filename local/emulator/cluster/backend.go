package cluster

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
)

// backend is how a fleet reaches one of its API servers: as an authenticating proxy,
// for callers that it knows, or without credentials of its own, so that the API
// server refuses the caller in its own words.
type backend struct {
	server             *Cluster
	trusted, untrusted *http.Transport
	admin              *http.Client
}

func newBackend(server *Cluster) (*backend, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CAData)
	certificate, err := server.proxy.tls()
	if err != nil {
		return nil, err
	}
	admin, err := rest.HTTPClientFor(server.AdminConfig())
	if err != nil {
		return nil, err
	}
	transport := func(certificates ...tls.Certificate) *http.Transport {
		return &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2: true, DisableCompression: true,
		}
	}
	return &backend{server: server, trusted: transport(certificate), untrusted: transport(), admin: admin}, nil
}

func (b *backend) close() {
	b.trusted.CloseIdleConnections()
	b.untrusted.CloseIdleConnections()
	b.admin.CloseIdleConnections()
}

// serve answers a request to the cluster, whose path is that of an API server.
func (v *Virtual) serve(w http.ResponseWriter, r *http.Request) {
	t, ofObjects := parsePath(r.URL.Path)
	user, known := v.authenticate(r)
	if known && ofObjects {
		if err := v.prepare(r, t); err != nil {
			refuse(w, err)
			return
		}
	}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(out *httputil.ProxyRequest) { v.rewrite(out.Out, user, known) },
		Transport:     v.backend.untrusted,
		FlushInterval: -1, // the events of a watch, at once
		ModifyResponse: func(resp *http.Response) error {
			return v.translate(resp, t, ofObjects)
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // the API server broke the connection: so does this
		},
	}
	if known {
		forward.Transport = v.backend.trusted
	}
	forward.ServeHTTP(w, r)
}

// refuse answers with an error as an API server writes it.
func refuse(w http.ResponseWriter, err error) {
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(err)
	}
	status.ErrStatus.APIVersion, status.ErrStatus.Kind = "v1", "Status"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.ErrStatus.Code))
	_ = json.NewEncoder(w).Encode(status.ErrStatus) // the client is gone; nobody is left to tell
}

// maxBody is more than an API server takes.
const maxBody = 4 << 20

// prepare translates a request and makes the namespaces that it may ask for.
func (v *Virtual) prepare(r *http.Request, t requestInfo) error {
	if t.tooLong(v.names) {
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the namespace %s is too long for a virtual cluster", t.namespace))
	}
	if err := v.makeNamespaces(r.Context(), t); err != nil {
		return err
	}
	query := r.URL.Query()
	if err := t.query(query, v.names); err != nil {
		return err
	}
	r.URL.Path, r.URL.RawQuery = t.path(v.names), query.Encode()
	r.Header.Set("Accept", acceptJSON(r.Header.Values("Accept")))
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	if body, err = t.body(body, r.Header.Get("Content-Type"), v.names); err != nil {
		return err
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// acceptJSON leaves of the encodings that a client accepts those that can be
// translated.
func acceptJSON(accepted []string) string {
	var left []string
	for _, encoding := range strings.Split(strings.Join(accepted, ","), ",") {
		if strings.Contains(encoding, "json") {
			left = append(left, encoding)
		}
	}
	if left == nil {
		return "application/json"
	}
	return strings.Join(left, ",")
}

// rewrite makes the request one to the API server, from the user if it is known.
func (v *Virtual) rewrite(out *http.Request, user authenticationv1.UserInfo, known bool) {
	out.URL.Scheme, out.URL.Host, out.Host = "https", v.backend.server.apiserver(), ""
	for name := range out.Header {
		if strings.HasPrefix(name, "X-Remote-") {
			out.Header.Del(name)
		}
	}
	out.Header.Del("Accept-Encoding") // of an answer that is to be translated
	// The API server notes it in its record of requests, see [Virtual.Requests].
	out.Header.Set("Audit-ID", v.names.prefix+uuid.NewString())
	if !known {
		if strings.HasPrefix(out.Header.Get("Authorization"), "Bearer ") {
			out.Header.Set("Authorization", "Bearer refused") // whatever the API server would say to the token
		}
		return
	}
	out.Header.Del("Authorization")
	out.Header.Set(remoteUser, user.Username)
	out.Header.Set(remoteUID, user.UID)
	out.Header[remoteGroup] = user.Groups
	for key, values := range user.Extra {
		out.Header[remoteExtra+escapeExtra(key)] = values
	}
}

// escapeExtra writes a key for a header's name, which has no case: the API server
// undoes the escapes.
func escapeExtra(key string) string {
	var escaped strings.Builder
	for _, c := range []byte(key) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02x", c)
		}
	}
	return escaped.String()
}

// translate makes the answer one of the virtual cluster.
func (v *Virtual) translate(resp *http.Response, t requestInfo, ofObjects bool) error {
	for _, values := range resp.Header {
		for i := range values {
			values[i] = v.names.original(values[i])
		}
	}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if !ofObjects || mediaType != "application/json" {
		return nil
	}
	if resp.StatusCode == http.StatusOK && isWatch(resp.Request.URL) {
		resp.Body = &events{
			lines: bufio.NewReader(resp.Body), source: resp.Body,
			translate: func(line []byte) ([]byte, error) { return t.answer(line, v.names) },
		}
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the API server's answer: %w", err)
	}
	if body, err = t.answer(body, v.names); err != nil {
		return err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

func isWatch(u *url.URL) bool {
	watch, _ := strconv.ParseBool(u.Query().Get("watch"))
	return watch || strings.Contains(u.Path, "/watch/")
}

// events translates a watch: one event a line.
type events struct {
	lines     *bufio.Reader
	source    io.Closer
	translate func(line []byte) ([]byte, error) // nil: leave it out
	rest      []byte                            // of the present event
}

func (e *events) Read(into []byte) (int, error) {
	for len(e.rest) == 0 {
		line, err := e.lines.ReadBytes('\n')
		if err != nil {
			return 0, err //nolint:wrapcheck // io.EOF must stay what it is
		}
		if e.rest, err = e.translate(line); err != nil {
			return 0, err
		}
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *events) Close() error { return e.source.Close() }

// Every cluster has these from its start.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces
func initialNamespaces() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{Namespace("default"), Namespace("kube-node-lease"), Namespace("kube-public"), Namespace("kube-system")}
}

// makeNamespaces makes those of the cluster's own namespaces that a request is
// about. They are not made before: ten thousand clusters would take a minute.
func (v *Virtual) makeNamespaces(ctx context.Context, t requestInfo) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.made[t.namespace] {
		return nil
	}
	for _, namespace := range slices.Concat(initialNamespaces(), v.Objects) {
		name := namespace.GetName()
		about := name == t.namespace || t.ofNamespaces() && t.collection()
		if !about || v.made[name] {
			continue
		}
		if err := v.backend.createNamespace(ctx, namespace, v.names); err != nil {
			return err
		}
		if v.made == nil {
			v.made = map[string]bool{}
		}
		v.made[name] = true
	}
	return nil
}

func (b *backend) createNamespace(ctx context.Context, namespace *unstructured.Unstructured, names translation) error {
	// As the API server makes those of every cluster.
	const path, query, contentType = "/api/v1/namespaces", "?fieldManager=kube-apiserver", "application/json"
	body, err := namespace.MarshalJSON()
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace.GetName(), err)
	}
	t, _ := parsePath(path)
	if body, err = t.body(body, contentType, names); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+b.server.apiserver()+path+query, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace.GetName(), err)
	}
	request.Header.Set("Content-Type", contentType)
	resp, err := b.admin.Do(request)
	if err != nil {
		return fmt.Errorf("create namespace %s: %w", namespace.GetName(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusConflict {
		return fmt.Errorf("create namespace %s: the API server answers %s", namespace.GetName(), resp.Status)
	}
	return nil
}
