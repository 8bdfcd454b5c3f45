// Package s3 serves Amazon S3 in memory, path style, with IAM in front: every
// request is named as an S3 operation, checked against the caller's policies and
// the bucket's policy, and only then handed to gofakes3, which stores.
//
// What this package adds to gofakes3: permissions (and the rule that a missing
// key is 403 for a caller who may not list), buckets that belong to accounts and
// Regions, aws-chunked uploads with trailers, checked checksums, conditional reads
// and writes, the pages of lists, and the refusal, by name, of operations that
// gofakes3 would mistake for others.
package s3
