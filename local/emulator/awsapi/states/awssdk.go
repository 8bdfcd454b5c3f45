package states

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// putObject is the integration aws-sdk:s3:putObject. The object is the JSON of
// Body, without white space: a string is written with its quotes, as AWS was seen
// to do (localstack/localstack#12035).
func (c *clients) putObject(ctx context.Context, given json.RawMessage) (json.RawMessage, error) {
	var in struct {
		Bucket, Key, ContentType, CacheControl, IfMatch, IfNoneMatch *string
		Metadata                                                     map[string]string
		Body                                                         json.RawMessage
	}
	if err := arguments("aws-sdk:s3:putObject", given, &in, "Bucket", "Key"); err != nil {
		return nil, err
	}
	out, err := c.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, Body: bytes.NewReader(in.Body), Metadata: in.Metadata,
		ContentType: in.ContentType, CacheControl: in.CacheControl, IfMatch: in.IfMatch, IfNoneMatch: in.IfNoneMatch,
	}, func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	if err != nil {
		return nil, serviceError("S3", "S3Exception", err, "NoSuchBucket", "NoSuchKey")
	}
	return marshalResult(out)
}
