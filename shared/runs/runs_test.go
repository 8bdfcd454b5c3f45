package runs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// fakeS3 answers as scripted, and notes what it was asked.
type fakeS3 struct {
	err         error
	body        io.Reader
	pages       [][]string
	ifNoneMatch *string
	ifMatch     *string
	put         string
}

func (f *fakeS3) GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	if f.err != nil {
		return nil, f.err
	}
	return &s3.GetObjectOutput{Body: io.NopCloser(f.body), ETag: aws.String(`"tag"`)}, nil
}

func (f *fakeS3) PutObject(_ context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	f.ifNoneMatch, f.ifMatch = in.IfNoneMatch, in.IfMatch
	body, err := io.ReadAll(in.Body)
	f.put = string(body)
	return &s3.PutObjectOutput{}, errors.Join(f.err, err)
}

func (f *fakeS3) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	page := len(aws.ToString(in.ContinuationToken))
	out := &s3.ListObjectsV2Output{IsTruncated: aws.Bool(page+1 < len(f.pages)), NextContinuationToken: aws.String(strings.Repeat("x", page+1))}
	for _, key := range f.pages[page] {
		out.Contents = append(out.Contents, types.Object{Key: aws.String(key)})
	}
	return out, f.err
}

func TestConditionalWrites(t *testing.T) {
	tests := []struct {
		code    string // of S3's error; "" is success
		written bool
		want    fault.Name
	}{
		{code: "", written: true},
		{code: "PreconditionFailed", written: false},
		{code: "NoSuchKey", written: false}, // there is nothing to write over
		{code: "ConditionalRequestConflict", want: fault.AWSUnavailable},
		{code: "SlowDown", want: fault.Throttled},
		{code: "AccessDenied", want: fault.AWSError},
	}
	for _, test := range tests {
		f := &fakeS3{}
		if test.code != "" {
			f.err = &smithy.GenericAPIError{Code: test.code}
		}
		written, err := runs.NewBucket(f, "b").PutJSONOnce(t.Context(), "claims/1.json", "mine")
		if written != test.written || (err != nil) != (test.want != "") || err != nil && fault.NameOf(err) != test.want {
			t.Errorf("%q: written %t, %v", test.code, written, err)
		}
		if aws.ToString(f.ifNoneMatch) != "*" || f.ifMatch != nil {
			t.Errorf("%q: If-None-Match is %q", test.code, aws.ToString(f.ifNoneMatch))
		}
		over, overErr := runs.NewBucket(f, "b").PutJSONOver(t.Context(), "locks/1.json", `"tag"`, "mine")
		if over != written || fault.NameOf(overErr) != fault.NameOf(err) {
			t.Errorf("%q: written over %t, %v", test.code, over, overErr)
		}
		if aws.ToString(f.ifMatch) != `"tag"` || f.ifNoneMatch != nil {
			t.Errorf("%q: If-Match is %q", test.code, aws.ToString(f.ifMatch))
		}
	}
	f := &fakeS3{}
	if err := runs.NewBucket(f, "b").PutJSON(t.Context(), "x", "mine"); err != nil || f.ifNoneMatch != nil || f.ifMatch != nil {
		t.Errorf("a plain write is conditional: %v, %v, %v", f.ifNoneMatch, f.ifMatch, err)
	}
}

func TestPutJSONArray(t *testing.T) {
	for want, values := range map[string][]any{
		"[]\n":                         nil,
		"[\n1\n]\n":                    {1},
		"[\n{\"a\":\"<\"}\n,null\n]\n": {json.RawMessage(`{"a": "<"}`), nil},
	} {
		f := &fakeS3{}
		if err := runs.NewBucket(f, "b").PutJSONArray(t.Context(), "x", slices.Values(values)); err != nil || f.put != strings.ReplaceAll(want, "<", `\u003c`) {
			t.Errorf("%v: wrote %q, %v", values, f.put, err)
		}
	}
	f := &fakeS3{err: &smithy.GenericAPIError{Code: "SlowDown"}}
	if err := runs.NewBucket(f, "b").PutJSONArray(t.Context(), "x", slices.Values([]any{1})); fault.NameOf(err) != fault.Throttled {
		t.Errorf("got %v", err)
	}
	if err := runs.NewBucket(f, "b").PutJSONArray(t.Context(), "x", slices.Values([]any{func() {}})); err == nil || !strings.Contains(err.Error(), "s3://b/x") {
		t.Errorf("got %v", err)
	}
}

func TestExists(t *testing.T) {
	for _, test := range []struct {
		keys []string
		want bool
	}{{nil, false}, {[]string{"runs/1/plan.json"}, true}, {[]string{"runs/1/plan.json.old"}, false}} {
		found, err := runs.NewBucket(&fakeS3{pages: [][]string{test.keys}}, "b").Exists(t.Context(), "runs/1/plan.json")
		if found != test.want || err != nil {
			t.Errorf("of %q: %t, %v", test.keys, found, err)
		}
	}
	denied := &fakeS3{pages: [][]string{nil}, err: &smithy.GenericAPIError{Code: "AccessDenied"}}
	if _, err := runs.NewBucket(denied, "b").Exists(t.Context(), "x"); fault.NameOf(err) != fault.AWSError {
		t.Errorf("a list that is refused: %v", err)
	}
}

func TestGet(t *testing.T) {
	broken := io.MultiReader(strings.NewReader(`{"half`), errorReader{})
	if _, err := runs.NewBucket(&fakeS3{body: broken}, "b").Get(t.Context(), "x"); fault.NameOf(err) != fault.AWSUnavailable {
		t.Errorf("a body that breaks off: %v", err)
	}
	var value map[string]any
	whole := &fakeS3{body: strings.NewReader(`{"a": 1}`)}
	if tag, err := runs.NewBucket(whole, "b").GetJSONTagged(t.Context(), "x", &value); err != nil || tag != `"tag"` || value["a"] != 1.0 {
		t.Errorf("an object: %q, %v, %v", tag, value, err)
	}
	err := runs.NewBucket(&fakeS3{body: strings.NewReader("{")}, "b").GetJSON(t.Context(), "x", &value)
	if err == nil || !strings.Contains(err.Error(), "s3://b/x") {
		t.Errorf("half an object: %v", err)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestListFollowsPages(t *testing.T) {
	f := &fakeS3{pages: [][]string{{"a", "b"}, {"c"}, {"d"}}}
	got, err := runs.NewBucket(f, "b").List(t.Context(), "runs/")
	if err != nil || !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestClaimKey(t *testing.T) {
	hostile := runs.ClaimKey("../../runs/other/resource.json")
	if !strings.HasPrefix(hostile, "claims/") || strings.Contains(hostile, "..") || hostile == runs.ClaimKey("x") {
		t.Errorf("the key is %s", hostile)
	}
}
