package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Mark is a point in a cluster's record of requests.
type Mark int64

// Request is one request that an API server answered or, for a watch, began to
// answer.
type Request struct {
	// User is the Kubernetes user name, for example
	// arn:aws:sts::111111111111:assumed-role/deployer/session.
	User string
	// Verb is Kubernetes' word: get, list, watch, create, patch, ...
	Verb string
	// Resource is the plural with its group, such as topics.messaging.example.com,
	// and with the subresource behind a slash. For a path that is no resource, such as
	// /version or /apis, it is the path.
	Resource string
	// Namespace and Name are empty where the request has none.
	Namespace, Name string
	// DryRun says that nothing was to be kept.
	DryRun bool
	// Code is the HTTP status.
	Code int
	// Received and Answered are when the API server got the request, and when it had
	// answered it or, of a watch, began to.
	Received, Answered time.Time
}

// Mark returns the present end of the record. Requests(mark) then gives what came
// after it.
func (c *Cluster) Mark() (Mark, error) {
	info, err := os.Stat(c.file(auditLog))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil // nothing was asked yet
	}
	if err != nil {
		return 0, fmt.Errorf("read the record of requests: %w", err)
	}
	return Mark(info.Size()), nil
}

// Requests returns the requests since mark, 0 for all, in the order of their
// answers. The API server's own requests and anonymous ones are left out; those of
// operators that use [Cluster.AdminConfig] are there under the user "admin". A
// request can be missing for a moment after its client has the answer.
func (c *Cluster) Requests(since Mark) ([]Request, error) {
	return c.requests(since, func(auditEvent) bool { return true })
}

func (c *Cluster) requests(since Mark, wanted func(auditEvent) bool) ([]Request, error) {
	file, err := os.Open(c.file(auditLog))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the record of requests: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(int64(since), io.SeekStart); err != nil {
		return nil, fmt.Errorf("read the record of requests: %w", err)
	}
	return parseAudit(file, wanted)
}

// auditEvent is the part of audit.k8s.io/v1 Event that is looked at. Declared here
// to leave out the dependency on the API server's own module.
// https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
type auditEvent struct {
	AuditID    string `json:"auditID"`
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef *struct {
		Resource    string `json:"resource"`
		APIGroup    string `json:"apiGroup"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Received time.Time `json:"requestReceivedTimestamp"`
	Stage    time.Time `json:"stageTimestamp"`
}

func (e auditEvent) request() Request {
	r := Request{User: e.User.Username, Verb: e.Verb, Resource: e.RequestURI, DryRun: strings.Contains(e.RequestURI, "dryRun="), Code: e.ResponseStatus.Code, Received: e.Received, Answered: e.Stage}
	if ref := e.ObjectRef; ref != nil {
		r.Resource, r.Namespace, r.Name = ref.Resource, ref.Namespace, ref.Name
		if ref.APIGroup != "" {
			r.Resource += "." + ref.APIGroup
		}
		if ref.Subresource != "" {
			r.Resource += "/" + ref.Subresource
		}
	}
	return r
}

// parseAudit reads one event a line. A last line without its end is still being
// written and is left for the next call.
func parseAudit(r io.Reader, wanted func(auditEvent) bool) ([]Request, error) {
	var requests []Request
	seen := map[string]bool{}
	for lines := bufio.NewReader(r); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return requests, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the record of requests: %w", err)
		}
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("read the record of requests: %w", err)
		}
		if !seen[event.AuditID] && wanted(event) {
			seen[event.AuditID] = true
			requests = append(requests, event.request())
		}
	}
}
