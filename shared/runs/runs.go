package runs

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

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
// of the objects that name the executions which work on a resource.
const (
	Claims = "claims/"
	Locks  = "locks/"
)

// Reports is the prefix of the reports. They have one of their own because they are
// kept longer than the rest, and because people may read them who may not read the
// rest.
const Reports = "reports/"

// ReportKey returns the key of an execution's report, which holds every target's
// result. Step Functions lets a name come again after 90 days, so the day of the
// start is part of it.
func ReportKey(name string, started time.Time) string {
	return Reports + started.UTC().Format(time.DateOnly) + "/" + name + ".json"
}

// Temporary are the prefixes of what serves executions, and is of no use to people.
func Temporary() []string { return []string{strings.TrimSuffix(All, "*"), Claims, Locks} }

// LockKey returns the key of the object that names the executions which work on a
// resource: one for the object in whatever version of its API. plural is the kind's
// name in URLs.
func LockKey(group, plural, namespace, name string) string {
	sum := sha256.Sum256([]byte(group + "\n" + plural + "\n" + namespace + "\n" + name))
	return Locks + hex.EncodeToString(sum[:]) + ".json"
}

// Names of the objects below an execution's prefix.
const (
	// Request is the request with the options of a retry merged in, and Plan what
	// plan made of it.
	Request = "request.json"
	Plan    = "plan.json"
	// Layout is the whole plan, with every target: a [contract.Layout].
	Layout = "layout.json"
	// Resources are the objects to act on and the overrides of the request.
	Resources = "resources.json"
	// Accounts is the list of accounts whose clusters are to be listed, Discovered the
	// prefix of what was found in each, and Listing that of the results of the Map that
	// does so.
	Accounts   = "accounts.json"
	Discovered = "discovered/"
	Listing    = "listing"
	// Items is the prefix of the items of the phases.
	Items = "items/"
	// Results is the prefix of what the ResultWriter of the Map over targets writes, with
	// the number of the phase behind it.
	Results = "results/"
	// Phases is the prefix of how the phases ended.
	Phases = "phases/"
	// Journal is the prefix of the journal: see package journal.
	Journal = "journal/"
	// Marks is the prefix of what a target that starts looks for first: Stop, which
	// a person writes to end the rollout, and one for each target that failed, below
	// Failed and the number of its phase. Stop sorts first, so that a bounded list never
	// misses it. What a person writes is not read; a target's mark is
	// {"error": "<the error's name>"}.
	Marks  = "marks/"
	Stop   = Marks + "STOP"
	Failed = Marks + "failed/"
)

// Inputs is the prefix of what people put into the bucket for requests to name.
const Inputs = "inputs/"

// DiscoveredIn returns the name of what discover found in an account.
func DiscoveredIn(account string) string { return Discovered + account + ".json" }

// WaveItems returns the name of a wave's items, by the wave's number from 1.
func WaveItems(wave int) string { return Items + "wave-" + strconv.Itoa(wave) + ".json" }

// PhaseItems returns the name of a phase's items, by the phase's number.
func PhaseItems(number int) string { return Items + strconv.Itoa(number) + ".json" }

// PhaseResults returns the prefix of a phase's results.
func PhaseResults(number int) string { return Results + strconv.Itoa(number) }

// EndedPhase returns the name of how a phase ended.
func EndedPhase(number int) string { return Phases + strconv.Itoa(number) + ".json" }

// PhaseFailed returns the prefix of the marks of a phase's targets that failed.
func PhaseFailed(number int) string { return Failed + strconv.Itoa(number) + "/" }

// ObjectKey returns the key of an object that get found, beside the report of its
// execution.
func ObjectKey(reportKey, target string, resource int) string {
	return strings.TrimSuffix(reportKey, ".json") + "/" + target + "/" + strconv.Itoa(resource) + ".json"
}

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
	body, _, err := b.get(ctx, key)
	return body, err
}

func (b Bucket) get(ctx context.Context, key string) (body []byte, tag string, err error) {
	open, tag, err := b.open(ctx, key)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = open.Close() }() // read to its end below; nothing is left to fail
	body, err = io.ReadAll(open)
	return body, tag, err
}

// Open opens an object for those who read it piece by piece, and close it.
func (b Bucket) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	body, _, err := b.open(ctx, key)
	return body, err
}

func (b Bucket) open(ctx context.Context, key string) (body io.ReadCloser, tag string, err error) {
	doing := "read " + b.URI(key)
	out, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)})
	if err != nil {
		return nil, "", fault.FromAWS(err, nil, doing)
	}
	return object{out.Body, doing}, aws.ToString(out.ETag), nil
}

// object is the body of an object, whose errors have a name.
type object struct {
	io.ReadCloser
	doing string
}

func (o object) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fault.Wrap(err, fault.AWSUnavailable, "%s: the connection broke off", o.doing)
	}
	return n, err
}

// GetJSON reads an object into value.
func (b Bucket) GetJSON(ctx context.Context, key string, value any) error {
	_, err := b.GetJSONTagged(ctx, key, value)
	return err
}

// GetJSONTagged reads an object into value, and returns the entity tag by which
// [Bucket.PutJSONOver] knows it again.
func (b Bucket) GetJSONTagged(ctx context.Context, key string, value any) (tag string, err error) {
	body, tag, err := b.get(ctx, key)
	if err != nil {
		return "", err
	}
	if err := json.Unmarshal(body, value); err != nil {
		return "", fmt.Errorf("read %s: %w", b.URI(key), err)
	}
	return tag, nil
}

// PutJSON writes value as an object.
func (b Bucket) PutJSON(ctx context.Context, key string, value any) error {
	return b.put(ctx, value, s3.PutObjectInput{Key: aws.String(key)})
}

// PutJSONOnce writes value as an object unless there is one, and says whether it
// did.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (b Bucket) PutJSONOnce(ctx context.Context, key string, value any) (done bool, err error) {
	return written(b.put(ctx, value, s3.PutObjectInput{Key: aws.String(key), IfNoneMatch: aws.String("*")}))
}

// PutJSONOver writes value over the object that has that entity tag, unless
// another one has taken its place, and says whether it did.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (b Bucket) PutJSONOver(ctx context.Context, key, tag string, value any) (done bool, err error) {
	return written(b.put(ctx, value, s3.PutObjectInput{Key: aws.String(key), IfMatch: aws.String(tag)}))
}

// written reads the outcome of a conditional write.
func written(err error) (bool, error) {
	var refused smithy.APIError
	if errors.As(err, &refused) && (refused.ErrorCode() == "PreconditionFailed" || refused.ErrorCode() == "NoSuchKey") {
		return false, nil
	}
	return err == nil, err
}

// PutJSONArray writes values as an object that holds an array of them, each in a line.
// S3 must know the size before it takes the first byte: a file holds the array until
// then, so that memory does not have to.
func (b Bucket) PutJSONArray(ctx context.Context, key string, values iter.Seq[any]) error {
	file, err := os.CreateTemp("", "object-*.json")
	if err == nil {
		defer func() { _, _ = file.Close(), os.Remove(file.Name()) }() // what S3 has counts
		if err = writeArray(file, values); err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", b.URI(key), err)
	}
	return b.upload(ctx, s3.PutObjectInput{Key: aws.String(key), Body: file})
}

func writeArray(file io.Writer, values iter.Seq[any]) error {
	buffer := bufio.NewWriter(file)
	lines := json.NewEncoder(buffer)
	separator := "[\n"
	for value := range values {
		_, _ = buffer.WriteString(separator) // Flush returns the first error
		if err := lines.Encode(value); err != nil {
			return err
		}
		separator = ","
	}
	if separator != "," {
		_, _ = buffer.WriteString("[")
	}
	_, _ = buffer.WriteString("]\n")
	return buffer.Flush()
}

func (b Bucket) put(ctx context.Context, value any, in s3.PutObjectInput) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(value); err != nil { // with a line's end, for those who print it
		return fmt.Errorf("write %s: %w", b.URI(*in.Key), err)
	}
	in.Body = bytes.NewReader(body.Bytes())
	return b.upload(ctx, in)
}

// upload writes an object of JSON.
func (b Bucket) upload(ctx context.Context, in s3.PutObjectInput) error {
	in.Bucket = aws.String(b.name)
	in.ContentType = aws.String("application/json")
	_, err := b.client.PutObject(ctx, &in)
	// Two conditional writes at the same time: the same call tells who won.
	names := map[string]fault.Name{"ConditionalRequestConflict": fault.AWSUnavailable}
	return fault.FromAWS(err, names, "write "+b.URI(*in.Key))
}

// Exists says whether there is an object. It lists the key, because to a caller
// that may not list it, S3 says of one that is missing that access is denied.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (b Bucket) Exists(ctx context.Context, key string) (bool, error) {
	// Of all keys with this prefix, the key itself comes first.
	keys, err := b.First(ctx, key, 1)
	return len(keys) > 0 && keys[0] == key, err
}

// First returns the first keys below a prefix, in the order of their UTF-8 bytes:
// at most so many, and no more than 1,000.
func (b Bucket) First(ctx context.Context, prefix string, most int) ([]string, error) {
	out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: aws.String(b.name), Prefix: aws.String(prefix), MaxKeys: aws.Int32(int32(min(most, 1_000)))}) //nolint:gosec // bounded
	if err != nil {
		return nil, fault.FromAWS(err, nil, "list "+b.URI(prefix))
	}
	return keysOf(out), nil
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
		keys = append(keys, keysOf(page)...)
	}
	return keys, nil
}

func keysOf(page *s3.ListObjectsV2Output) []string {
	keys := make([]string, len(page.Contents))
	for i, object := range page.Contents {
		keys[i] = aws.ToString(object.Key)
	}
	return keys
}
