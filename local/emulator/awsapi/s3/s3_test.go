package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/awsapitest"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/s3"
)

func s3Client(s *awsapi.Server, u iam.User) *awss3.Client {
	return awss3.NewFromConfig(awsapitest.ConfigOf(s, u))
}

func put(t *testing.T, c *awss3.Client, bucket, key, body string) {
	t.Helper()
	_, err := c.PutObject(context.Background(), &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
}

func TestObjects(t *testing.T) {
	s := awsapitest.Start(t)
	ctx := context.Background()
	c := s3Client(s, awsapitest.Admin())
	key := "open/a b+c/é=&.json"
	_, err := c.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: aws.String("runs"), Key: &key, Body: strings.NewReader(`{"a":1}`),
		ContentType: aws.String("application/json"), Metadata: map[string]string{"execution": "e1"},
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("runs"), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(out.Body)
	if err != nil || string(body) != `{"a":1}` || *out.ContentType != "application/json" || out.Metadata["execution"] != "e1" {
		t.Errorf("object %q of %s, %v, %v", body, *out.ContentType, out.Metadata, err)
	}
	part, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("runs"), Key: &key, Range: aws.String("bytes=1-3")})
	if err != nil {
		t.Fatal(err)
	}
	if body, err = io.ReadAll(part.Body); err != nil || string(body) != `"a"` {
		t.Errorf("part %q, %v", body, err)
	}
	head, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String("runs"), Key: &key})
	if err != nil || *head.ContentLength != 7 {
		t.Errorf("head %+v, %v", head, err)
	}
	_, err = c.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("runs"), Key: &key, IfMatch: aws.String(`"0"`)})
	awsapitest.CheckCode(t, err, "PreconditionFailed", 412)

	_, err = c.CopyObject(ctx, &awss3.CopyObjectInput{
		Bucket: aws.String("runs"), Key: aws.String("copy"), CopySource: aws.String("runs/open/a%20b%2Bc/%C3%A9%3D%26.json"),
	})
	if err != nil {
		t.Error(err)
	}
	_, err = c.DeleteObjects(ctx, &awss3.DeleteObjectsInput{
		Bucket: aws.String("runs"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &key}}},
	})
	if err != nil {
		t.Error(err)
	}
	_, err = c.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("runs"), Key: &key})
	awsapitest.CheckCode(t, err, "NoSuchKey", 404)
}

// A PUT's session token and signature must not come back as metadata.
func TestObjectsKeepNothingOfTheSignature(t *testing.T) {
	s := awsapitest.Start(t, func(c *awsapi.Config) {
		role := awsapitest.FunctionRole()
		role.Policies = []string{awsapitest.Allow("s3:*", "arn:aws:s3:::runs*")}
		c.Roles = append(c.Roles, role)
	})
	session, err := s.IAM.AssumeRoleForService("lambda.amazonaws.com", awsapitest.FunctionRole().ARN(), "f", "arn:aws:lambda:eu-west-1:111111111111:function:f")
	if err != nil {
		t.Fatal(err)
	}
	config := awsapitest.ConfigOf(s, awsapitest.Admin())
	config.Credentials = credentials.NewStaticCredentialsProvider(session.AccessKeyID, session.SecretAccessKey, session.SessionToken)
	c := awss3.NewFromConfig(config)
	put(t, c, "runs", "k", "x")
	presigned, err := awss3.NewPresignClient(c).PresignGetObject(context.Background(), &awss3.GetObjectInput{Bucket: aws.String("runs"), Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	response := awsapitest.Get(t, presigned.URL, presigned.SignedHeader)
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	for name := range response.Header {
		switch name {
		case "X-Amz-Security-Token", "X-Amz-Date", "X-Amz-Content-Sha256", "Authorization":
			t.Errorf("the answer holds %s", name)
		}
	}
}

func TestListObjectsInPages(t *testing.T) {
	s := awsapitest.Start(t)
	c := s3Client(s, awsapitest.Admin())
	var want []string
	for i := range 7 {
		key := fmt.Sprintf("open/run-%d", i)
		put(t, c, "runs", key, "x")
		want = append(want, key)
	}
	put(t, c, "runs", "closed/x", "x")
	pages := awss3.NewListObjectsV2Paginator(s3Client(s, awsapitest.Guest()), &awss3.ListObjectsV2Input{
		Bucket: aws.String("runs"), Prefix: aws.String("open/"), MaxKeys: aws.Int32(3),
	})
	var keys []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range page.Contents {
			keys = append(keys, *object.Key)
		}
	}
	if !slices.Equal(keys, want) {
		t.Errorf("keys %v", keys)
	}
}

func TestConcurrentConditionalWrites(t *testing.T) {
	s := awsapitest.Start(t)
	c := s3Client(s, awsapitest.Admin())
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			_, err := c.PutObject(context.Background(), &awss3.PutObjectInput{
				Bucket: aws.String("runs"), Key: aws.String("claim"), Body: strings.NewReader(fmt.Sprint(i)), IfNoneMatch: aws.String("*"),
			})
			if err == nil {
				won.Add(1)
				return
			}
			lost.Add(1)
			awsapitest.CheckCode(t, err, "PreconditionFailed", 412)
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 7 {
		t.Errorf("%d claims won, %d lost", won.Load(), lost.Load())
	}
}

func TestConditionalWrites(t *testing.T) {
	s := awsapitest.Start(t, func(c *awsapi.Config) {
		once := awsapitest.Outsider()
		once.Name, once.Account, once.AccessKeyID = "once", awsapitest.Hub, "AKIAONCEONCEONCE"
		once.Policies = []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject","Resource":"*",
			"Condition":{"StringEquals":{"s3:if-none-match":"*"}}}}`}
		c.Users = append(c.Users, once)
	})
	once := iam.User{AccessKeyID: "AKIAONCEONCEONCE", SecretAccessKey: awsapitest.Outsider().SecretAccessKey}
	first, err := s3Client(s, awsapitest.Admin()).PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("runs"), Key: aws.String("there"), Body: strings.NewReader("1"),
	})
	if err != nil || aws.ToString(first.ETag) != `"c4ca4238a0b923820dcc509a6f75849b"` {
		t.Fatalf("%+v, %v", first, err)
	}
	star, none, other := aws.String("*"), (*string)(nil), aws.String(`"d41d8cd98f00b204e9800998ecf8427e"`)
	for _, tt := range []struct {
		name             string
		user             iam.User
		key              string
		match, noneMatch *string
		code             string
		status           int
	}{
		{"created", awsapitest.Admin(), "new", none, star, "", 0},
		{"created again", awsapitest.Admin(), "new", none, star, "PreconditionFailed", 412},
		{"another version", awsapitest.Admin(), "there", other, none, "PreconditionFailed", 412},
		{"the version", awsapitest.Admin(), "there", first.ETag, none, "", 0},
		{"a version that was replaced", awsapitest.Admin(), "there", first.ETag, none, "PreconditionFailed", 412},
		{"no version", awsapitest.Admin(), "none", first.ETag, none, "NoSuchKey", 404},
		{"unless it is that version", awsapitest.Admin(), "there", none, other, "NotImplemented", 501},
		{"may create", once, "own", none, star, "", 0},
		{"may not overwrite", once, "own", none, none, "AccessDenied", 403},
		{"may not compare", once, "own", first.ETag, star, "AccessDenied", 403},
	} {
		_, err := s3Client(s, tt.user).PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String("runs"), Key: &tt.key, Body: strings.NewReader("2"), IfMatch: tt.match, IfNoneMatch: tt.noneMatch,
		})
		if tt.code == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if tt.code != "" {
			t.Log(tt.name)
			awsapitest.CheckCode(t, err, tt.code, tt.status)
		}
	}
}

func TestListsEnd(t *testing.T) {
	s := awsapitest.Start(t)
	c := s3Client(s, awsapitest.Admin())
	for _, key := range []string{"a/1", "m/1", "m/2", "m/x/1", "m/x/2", "m/y", "z/1"} {
		put(t, c, "runs", key, "x")
	}
	for _, tt := range []struct {
		name, after, delimiter string
		max                    int32
		keys                   string
		truncated              bool
	}{
		{"all", "", "", 1000, "m/1 m/2 m/x/1 m/x/2 m/y", false},
		{"exactly all", "", "", 5, "m/1 m/2 m/x/1 m/x/2 m/y", false},
		{"some", "", "", 2, "m/1 m/2", true},
		{"none", "", "", 0, "", false},
		{"after a key", "m/2", "", 2, "m/x/1 m/x/2", true},
		{"after what is no key", "m/3", "", 1000, "m/x/1 m/x/2 m/y", false},
		{"after the last", "m/y", "", 1000, "", false},
		{"after others", "a/1", "", 1, "m/1", true},
		{"in folders", "", "/", 3, "m/1 m/2 m/x/", true},
		{"after a folder", "m/x/1", "/", 3, "m/y", false},
	} {
		out, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{
			Bucket: aws.String("runs"), Prefix: aws.String("m/"), StartAfter: &tt.after, MaxKeys: &tt.max, Delimiter: &tt.delimiter,
		})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, object := range out.Contents {
			names = append(names, *object.Key)
		}
		for _, folder := range out.CommonPrefixes {
			names = append(names, *folder.Prefix)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != tt.keys || aws.ToBool(out.IsTruncated) != tt.truncated || int(aws.ToInt32(out.KeyCount)) != len(names) {
			t.Errorf("%s: %q, %d keys, truncated: %v", tt.name, got, aws.ToInt32(out.KeyCount), aws.ToBool(out.IsTruncated))
		}
		if (aws.ToString(out.NextContinuationToken) != "") != tt.truncated {
			t.Errorf("%s: token %q", tt.name, aws.ToString(out.NextContinuationToken))
		}
	}
}

func TestS3Refusals(t *testing.T) {
	s := awsapitest.Start(t, func(c *awsapi.Config) {
		c.Buckets = append(c.Buckets, s3.Bucket{Name: "shared", Account: awsapitest.Target, Policy: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"}]}`})
	})
	ctx := context.Background()
	all, some := s3Client(s, awsapitest.Admin()), s3Client(s, awsapitest.Guest())
	put(t, all, "runs", "open/x", "x")
	put(t, all, "runs", "closed/x", "x")
	put(t, s3Client(s, awsapitest.Outsider()), "shared", "x", "x")

	read := func(c *awss3.Client, bucket, key string) error {
		_, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
		return err
	}
	list := func(c *awss3.Client, bucket, prefix string) error {
		_, err := c.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		return err
	}
	for name, err := range map[string]error{
		"own prefix":                          read(some, "runs", "open/x"),
		"own prefix listed":                   list(some, "runs", "open/y"),
		"other account's bucket, both agreed": read(all, "shared", "x"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	awsapitest.CheckCode(t, read(some, "runs", "closed/x"), "AccessDenied", 403)
	awsapitest.CheckCode(t, list(some, "runs", "closed/"), "AccessDenied", 403)
	awsapitest.CheckCode(t, list(some, "runs", ""), "AccessDenied", 403)
	awsapitest.CheckCode(t, read(some, "shared", "x"), "AccessDenied", 403)
	awsapitest.CheckCode(t, read(all, "other", "x"), "AccessDenied", 403)
	awsapitest.CheckCode(t, read(all, "none", "x"), "NoSuchBucket", 404)
	// Whether a key exists is told only to who may list it.
	awsapitest.CheckCode(t, read(all, "runs", "none"), "NoSuchKey", 404)
	awsapitest.CheckCode(t, read(some, "runs", "open/none"), "AccessDenied", 403)

	_, err := some.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("runs"), Key: aws.String("closed/y"), Body: strings.NewReader("x")})
	awsapitest.CheckCode(t, err, "AccessDenied", 403)
	_, err = all.GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: aws.String("runs")})
	awsapitest.CheckCode(t, err, "NotImplemented", 501)
	_, err = all.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("more")})
	awsapitest.CheckCode(t, err, "NotImplemented", 501)

	elsewhere := awsapitest.ConfigOf(s, awsapitest.Admin())
	elsewhere.Region = "us-east-1"
	awsapitest.CheckCode(t, read(awss3.NewFromConfig(elsewhere), "runs", "open/x"), "AuthorizationHeaderMalformed", 400)

	wrong := awsapitest.Admin()
	wrong.SecretAccessKey = "guess"
	awsapitest.CheckCode(t, read(s3Client(s, wrong), "runs", "open/x"), "SignatureDoesNotMatch", 403)

	buckets, err := all.ListBuckets(ctx, nil)
	if err != nil || len(buckets.Buckets) != 1 || *buckets.Buckets[0].Name != "runs" {
		t.Errorf("buckets of the account: %+v, %v", buckets, err)
	}
}

func TestPresignedObjects(t *testing.T) {
	clock := &awsapitest.Clock{}
	s := awsapitest.Start(t, func(c *awsapi.Config) { c.Now = clock.Now })
	c := s3Client(s, awsapitest.Admin())
	put(t, c, "runs", "open/x", "content")
	presigned, err := awss3.NewPresignClient(c).PresignGetObject(context.Background(),
		&awss3.GetObjectInput{Bucket: aws.String("runs"), Key: aws.String("open/x")}, awss3.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(awsapitest.Get(t, presigned.URL, presigned.SignedHeader).Body)
	if err != nil || string(body) != "content" {
		t.Errorf("presigned: %q, %v", body, err)
	}
	for name, url := range map[string]string{
		"other key":     strings.Replace(presigned.URL, "open/x", "open/y", 1),
		"longer":        strings.Replace(presigned.URL, "X-Amz-Expires=60", "X-Amz-Expires=600", 1),
		"no signature":  strings.SplitN(presigned.URL, "?", 2)[0],
		"other account": strings.Replace(presigned.URL, awsapitest.Admin().AccessKeyID, awsapitest.Guest().AccessKeyID, 1),
	} {
		if response := awsapitest.Get(t, url, presigned.SignedHeader); response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", name, response.Status)
		}
	}
	clock.Advance(2 * time.Minute)
	if response := awsapitest.Get(t, presigned.URL, presigned.SignedHeader); response.StatusCode != http.StatusForbidden {
		t.Errorf("after its time: %s", response.Status)
	}
}

// Over TLS the SDKs upload in aws-chunked with a checksum behind the payload.
func TestChunkedUpload(t *testing.T) {
	s := awsapitest.Start(t)
	upload := func(key, body string, length int) *http.Response {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodPut, s.URL()+"/runs/"+key, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
		r.Header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(length))
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		return awsapitest.Send(t, r, awsapitest.Admin(), "s3", time.Now())
	}
	const body = "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n"
	if response := upload("good", fmt.Sprintf(body, "DUoRhQ=="), 11); response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	out, err := s3Client(s, awsapitest.Admin()).GetObject(context.Background(), &awss3.GetObjectInput{Bucket: aws.String("runs"), Key: aws.String("good")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != "hello world" || aws.ToString(out.ContentEncoding) != "" {
		t.Errorf("object %q in encoding %q, %v", got, aws.ToString(out.ContentEncoding), err)
	}
	if response := upload("bad", fmt.Sprintf(body, "AAAAAA=="), 11); response.StatusCode != http.StatusBadRequest {
		t.Errorf("wrong checksum: %s", response.Status)
	}
	if response := upload("short", fmt.Sprintf(body, "DUoRhQ=="), 12); response.StatusCode != http.StatusBadRequest {
		t.Errorf("wrong length: %s", response.Status)
	}
}

func TestMultipartUpload(t *testing.T) {
	s := awsapitest.Start(t)
	ctx := context.Background()
	c := s3Client(s, awsapitest.Admin())
	created, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: aws.String("runs"), Key: aws.String("big")})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for i, content := range [][]byte{bytes.Repeat([]byte("a"), 5<<20), []byte("end")} {
		number := aws.Int32(int32(i + 1))
		part, err := c.UploadPart(ctx, &awss3.UploadPartInput{
			Bucket: aws.String("runs"), Key: aws.String("big"), UploadId: created.UploadId,
			PartNumber: number, Body: bytes.NewReader(content),
		})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{ETag: part.ETag, PartNumber: number})
	}
	_, err = c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String("runs"), Key: aws.String("big"), UploadId: created.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		t.Fatal(err)
	}
	head, err := c.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String("runs"), Key: aws.String("big")})
	if err != nil || *head.ContentLength != 5<<20+3 {
		t.Errorf("object %+v, %v", head, err)
	}
}

// A bucket's ARN is of its Region's partition, which its policy must name.
func TestBucketOfAnotherPartition(t *testing.T) {
	s := awsapitest.Start(t)
	bucket := s3.Bucket{Name: "peking", Account: awsapitest.Hub, Region: "cn-north-1",
		Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::peking/*"}}`}
	if err := s.S3.PutBucket(bucket); err == nil || !strings.Contains(err.Error(), `Partition "aws" is not valid`) {
		t.Errorf("want the policy refused, got %v", err)
	}
	bucket.Policy = strings.ReplaceAll(bucket.Policy, "arn:aws:", "arn:aws-cn:")
	if err := s.S3.PutBucket(bucket); err != nil {
		t.Error(err)
	}
}
