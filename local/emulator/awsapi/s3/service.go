package s3

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Bucket is a bucket and who owns it.
type Bucket struct {
	Name    string
	Account string
	// Region that requests must be signed for; empty accepts any, and leaves the
	// bucket in the commercial partition.
	Region string
	// Policy is the bucket policy, as a JSON document; it may be empty.
	Policy string
}

func (b Bucket) arn() string { return "arn:" + partition.Of(b.Region).Name + ":s3:::" + b.Name }

// Service is the S3 endpoint. It expects a body that is no longer aws-chunked.
type Service struct {
	objects store
	handler http.Handler
	now     func() time.Time

	mu      sync.RWMutex
	buckets map[string]bucket
}

type bucket struct {
	Bucket
	policy  *iam.Document
	created time.Time
}

// New returns an endpoint without buckets.
func New(now func() time.Time) *Service {
	objects := store{s3mem.New(s3mem.WithTimeSource(clock(now)))}
	fake := gofakes3.New(objects,
		gofakes3.WithTimeSource(clock(now)),
		gofakes3.WithTimeSkewLimit(0), // the signature's time is checked already
	)
	return &Service{objects: objects, handler: fake.Server(), now: now, buckets: map[string]bucket{}}
}

// clock gives gofakes3 the injected time.
type clock func() time.Time

func (c clock) Now() time.Time                  { return c() }
func (c clock) Since(t time.Time) time.Duration { return c().Sub(t) }

// PutBucket adds a bucket, or changes the owner and policy of one. It returns
// an error when the name or the policy is malformed.
func (s *Service) PutBucket(b Bucket) error {
	if err := gofakes3.ValidateBucketName(b.Name); err != nil {
		return fmt.Errorf("bucket %q: %w", b.Name, err)
	}
	added := bucket{Bucket: b, created: s.now()}
	if b.Policy != "" {
		policy, err := iam.ParseResourcePolicy(b.Policy)
		if err == nil {
			err = policy.CheckPartition(partition.Of(b.Region).Name)
		}
		if err != nil {
			return fmt.Errorf("bucket %q: %w", b.Name, err)
		}
		added.policy = &policy
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.buckets[b.Name]; ok {
		added.created = old.created
	} else if err := s.objects.CreateBucket(b.Name); err != nil {
		return fmt.Errorf("bucket %q: %w", b.Name, err)
	}
	s.buckets[b.Name] = added
	return nil
}

// Name implements [protocol.Service].
func (s *Service) Name() string { return "s3" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.RESTXML }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation {
	op := operationOf(r)
	answered := protocol.Operation{Name: op.name, Action: op.action}
	switch {
	case op.name == "ListBuckets":
		answered.Serve = s.listBuckets
	case op.action != "":
		answered.Serve = func(w http.ResponseWriter, r *protocol.Request) error {
			if err := s.check(r, op); err != nil {
				return err
			}
			s.handler.ServeHTTP(&response{ResponseWriter: w, ranged: r.Header.Get("Range") != ""}, forward(r.Request))
			return nil
		}
	}
	return answered
}

// check refuses what must not reach the store.
func (s *Service) check(r *protocol.Request, op operation) error {
	s.mu.RLock()
	b, exists := s.buckets[op.bucket]
	s.mu.RUnlock()
	if !exists {
		return protocol.Errorf(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	}
	if b.Region != "" && r.Region != b.Region {
		return protocol.Errorf(http.StatusBadRequest, "AuthorizationHeaderMalformed",
			"The authorization header is malformed; the region '%s' is wrong; expecting '%s'", r.Region, b.Region)
	}
	a := access{service: s, request: r, bucket: b}
	if err := a.authorize(op); err != nil {
		return err
	}
	switch op.name {
	case "GetObject", "HeadObject":
		return a.checkRead(op)
	case "PutObject":
		if err := a.checkConditions(op); err != nil {
			return err
		}
		return checkUpload(r)
	case "UploadPart":
		return checkUpload(r)
	case "CopyObject", "CompleteMultipartUpload":
		// gofakes3 would ignore the condition and overwrite.
		if r.Header.Get(ifNoneMatch) != "" || r.Header.Get(ifMatch) != "" {
			return protocol.Errorf(http.StatusNotImplemented, "NotImplemented", "A conditional %s is not supported by this endpoint", op.name)
		}
	}
	return nil
}

const (
	ifMatch     = "If-Match"
	ifNoneMatch = "If-None-Match"
)

// checkConditions checks what a conditional write asks for, and that its caller
// may see the object that If-Match compares with.
// docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (a access) checkConditions(op operation) error {
	if value := a.request.Header.Get(ifNoneMatch); value != "" && value != "*" {
		return protocol.Errorf(http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
	}
	if a.request.Header.Get(ifMatch) == "" {
		return nil
	}
	return a.may("s3:GetObject", a.bucket.arn()+"/"+op.key, nil)
}

func checkUpload(r *protocol.Request) error {
	payload, err := peek(r)
	if err != nil {
		return err
	}
	return verifyChecksums(r.Header, payload)
}

// peek returns the body and leaves it to be read again.
func peek(r *protocol.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// access is one request to one bucket.
type access struct {
	service *Service
	request *protocol.Request
	bucket  bucket
}

func (a access) authorize(op operation) error {
	switch op.name {
	case "DeleteObjects":
		return a.authorizeDeletes()
	case "CopyObject":
		if err := a.authorizeCopySource(a.request.Header.Get("X-Amz-Copy-Source")); err != nil {
			return err
		}
	}
	resource := a.bucket.arn()
	conditions := iam.Conditions{}
	if op.onObject {
		resource += "/" + op.key
	}
	for _, header := range []string{ifMatch, ifNoneMatch} {
		if value := a.request.Header.Get(header); value != "" && op.action == "s3:PutObject" {
			conditions["s3:"+header] = []string{value} // keys do not depend on case
		}
	}
	if op.name == "ListObjects" {
		query := a.request.URL.Query()
		for _, name := range []string{"prefix", "delimiter", "max-keys"} {
			// An absent prefix counts as the empty one, which lists everything.
			if query.Has(name) || name == "prefix" {
				conditions["s3:"+name] = []string{query.Get(name)}
			}
		}
	}
	return a.may(op.action, resource, conditions)
}

func (a access) authorizeDeletes() error {
	body, err := peek(a.request)
	if err != nil {
		return err
	}
	var request struct {
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(body, &request); err != nil {
		return protocol.Errorf(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	}
	for _, object := range request.Object {
		if err := a.may("s3:DeleteObject", a.bucket.arn()+"/"+object.Key, nil); err != nil {
			return err
		}
	}
	return nil
}

func (a access) authorizeCopySource(source string) error {
	path, err := url.PathUnescape(source)
	if err != nil {
		return protocol.Errorf(http.StatusBadRequest, "InvalidArgument", "Copy Source must mention the source bucket and key")
	}
	name, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	a.service.mu.RLock()
	b, ok := a.service.buckets[name]
	a.service.mu.RUnlock()
	if !ok {
		return protocol.Errorf(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist")
	}
	from := access{service: a.service, request: a.request, bucket: b}
	return from.may("s3:GetObject", b.arn()+"/"+key, nil)
}

// checkRead tells a missing key only to a caller who may list, as S3 does, and
// holds If-Match, which gofakes3 does not know on reads.
func (a access) checkRead(op operation) error {
	object, err := a.service.objects.HeadObject(op.bucket, op.key)
	if err == nil {
		defer object.Contents.Close()
		if want := a.request.Header.Get(ifMatch); want != "" && want != "*" && strings.Trim(want, `"`) != fmt.Sprintf("%x", object.Hash) {
			return protocol.Errorf(http.StatusPreconditionFailed, "PreconditionFailed", preconditionFailed)
		}
		return nil
	}
	if err := a.may("s3:ListBucket", a.bucket.arn(), nil); err != nil {
		return err
	}
	return protocol.Errorf(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
}

func (a access) may(action, resource string, conditions iam.Conditions) error {
	return a.request.Authorize(iam.Request{
		Action: action, Resource: resource, Conditions: conditions,
		ResourceAccount: a.bucket.Account, ResourcePolicy: a.bucket.policy,
	})
}

// listBuckets lists the caller's account's buckets; gofakes3 knows no accounts.
func (s *Service) listBuckets(w http.ResponseWriter, r *protocol.Request) error {
	account := r.Caller.Account
	if err := r.Authorize(iam.Request{Resource: Bucket{Name: "*", Region: r.Region}.arn()}); err != nil {
		return err
	}
	type entry struct {
		Name, CreationDate string
	}
	var list struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Owner   struct{ ID string }
		Buckets []entry `xml:"Buckets>Bucket"`
	}
	list.Owner.ID = account
	s.mu.RLock()
	for _, b := range s.buckets {
		if b.Account == account {
			list.Buckets = append(list.Buckets, entry{b.Name, b.created.UTC().Format(time.RFC3339)})
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(list.Buckets, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(list) // the client is gone; nobody is left to tell
	return nil
}

// forward returns the request as the store should see it. gofakes3 keeps every
// X-Amz- header as metadata and returns it on reads, so what belongs to the
// transport, and above all the session token, is taken out.
func forward(r *http.Request) *http.Request {
	clean := r.Clone(r.Context())
	for name := range clean.Header {
		if strings.HasPrefix(name, "X-Amz-") && !stored(name) {
			clean.Header.Del(name)
		}
	}
	clean.Header.Del("Authorization")
	clean.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	return clean
}

// stored reports whether a header is part of the object or of the operation.
func stored(name string) bool {
	for _, prefix := range []string{"X-Amz-Meta-", "X-Amz-Copy-Source", "X-Amz-Metadata-Directive", checksumPrefix} {
		if strings.HasPrefix(name, prefix) {
			return name != checksumPrefix+"Mode" && name != checksumPrefix+"Algorithm"
		}
	}
	return false
}

// response drops the whole object's checksums from an answer that holds a part
// of it, for an SDK would compare them with the part.
type response struct {
	http.ResponseWriter
	ranged bool
	done   bool
}

func (w *response) WriteHeader(status int) {
	if w.ranged && !w.done {
		for name := range w.Header() {
			if strings.HasPrefix(name, checksumPrefix) {
				w.Header().Del(name)
			}
		}
	}
	w.done = true
	w.ResponseWriter.WriteHeader(status)
}
