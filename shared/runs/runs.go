package runs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/shared/fault"
)

// Prefix returns the prefix of an execution's objects. Names of executions hold
// no slash and are unique per state machine for 90 days, longer than the
// objects live.
func Prefix(executionName string) string { return "runs/" + executionName + "/" }

// ClaimKey returns the key of the object that claims an idempotency key. The
// key is the caller's text, so its hash is used.
func ClaimKey(idempotencyKey string) string {
	sum := sha256.Sum256([]byte(idempotencyKey))
	return Claims + hex.EncodeToString(sum[:]) + ".json"
}

// All and Pattern are patterns of keys, for policies: of all objects of all
// executions, and of those of one name.
const All = "runs/*"

// Pattern returns the pattern of a name's objects in all executions.
func Pattern(name string) string { return Prefix("*") + name }

// Claims is the prefix of the objects that claim idempotency keys, and Locks that
// of the objects that name the execution which works on a resource.
const (
	Claims = "claims/"
	Locks  = "locks/"
)

// LockKey returns the key of the object that names the execution which works on a
// resource: one for the object in whatever version of its API.
func LockKey(group, kind, namespace, name string) string {
	sum := sha256.Sum256([]byte(group + "\n" + kind + "\n" + namespace + "\n" + name))
	return Locks + hex.EncodeToString(sum[:]) + ".json"
}

// Names of the objects below an execution's prefix.
const (
	// Request is the request with the options of a retry merged in, and Plan what
	// plan made of it.
	Request = "request.json"
	Plan    = "plan.json"
	// Resource is the object to apply, and Targets the list of targets.
	Resource = "resource.json"
	Targets  = "targets.json"
	// Results is the prefix of what the Map's ResultWriter writes, and Report every
	// target's result.
	Results = "results"
	Report  = "report.json"
	// Journal is the prefix of the journal: see package journal.
	Journal = "journal/"
	// Marks is the prefix of what a target that starts looks for first: Stop, which
	// a person writes to end the rollout, and one below Failed for each target that
	// failed. Stop sorts first, so that a bounded list never misses it. What a person
	// writes is not read; a target's mark is {"error": "<the error's name>"}.
	Marks  = "marks/"
	Stop   = Marks + "STOP"
	Failed = Marks + "failed/"
)

// Client is what package runs needs of S3; *s3.Client is one.
type Client interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// Bucket is the run bucket.
type Bucket struct {
	client Client
	name   string
}

// NewBucket returns the bucket of that name.
func NewBucket(client Client, name string) Bucket { return Bucket{client: client, name: name} }

// Name returns the bucket's name.
func (b Bucket) Name() string { return b.name }

// URI returns the s3:// URI of a key.
func (b Bucket) URI(key string) string { return "s3://" + b.name + "/" + key }

// Get reads a whole object.
func (b Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	doing := "read " + b.URI(key)
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)})
	if err != nil {
		return nil, fault.FromAWS(err, nil, doing)
	}
	defer func() { _ = out.Body.Close() }() // read to its end below; nothing is left to fail
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return nil, fault.Wrap(err, fault.AWSUnavailable, "%s: the connection broke off", doing)
	}
	return body, nil
}

// GetJSON reads an object into value.
func (b Bucket) GetJSON(ctx context.Context, key string, value any) error {
	body, err := b.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("read %s: %w", b.URI(key), err)
	}
	return nil
}

// PutJSON writes value as an object.
func (b Bucket) PutJSON(ctx context.Context, key string, value any) error {
	return b.put(ctx, key, value, nil)
}

// PutJSONOnce writes value as an object unless there is one, and says whether it
// did.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (b Bucket) PutJSONOnce(ctx context.Context, key string, value any) (written bool, err error) {
	err = b.put(ctx, key, value, aws.String("*"))
	var refused smithy.APIError
	if errors.As(err, &refused) && refused.ErrorCode() == "PreconditionFailed" {
		return false, nil
	}
	return err == nil, err
}

func (b Bucket) put(ctx context.Context, key string, value any, ifNoneMatch *string) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("write %s: %w", b.URI(key), err)
	}
	_, err = b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket:      aws.String(b.name),
		Key:         aws.String(key),
		Body:        bytes.NewReader(append(body, '\n')), // for those who print it
		ContentType: aws.String("application/json"),
		IfNoneMatch: ifNoneMatch,
	})
	// Two conditional writes at the same time: the same call tells who won.
	names := map[string]fault.Name{"ConditionalRequestConflict": fault.AWSUnavailable}
	return fault.FromAWS(err, names, "write "+b.URI(key))
}

// List returns all keys below a prefix.
func (b Bucket) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: aws.String(b.name), Prefix: aws.String(prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fault.FromAWS(err, nil, "list "+b.URI(prefix))
		}
		for _, object := range page.Contents {
			keys = append(keys, aws.ToString(object.Key))
		}
	}
	return keys, nil
}
