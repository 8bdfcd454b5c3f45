package s3

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// operation is what a request asks of S3.
type operation struct {
	// name is the API's, such as PutObject; a request outside the list below
	// has its method and subresource instead, and no action.
	name string
	// action is the IAM action; onObject says that its resource is the object
	// rather than the bucket.
	action      string
	onObject    bool
	bucket, key string
}

// subresources make a request another operation than its method says.
// docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
func subresources() []string {
	return []string{
		"accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering",
		"inventory", "legal-hold", "lifecycle", "location", "logging", "metadataTable", "metrics", "notification",
		"object-lock", "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock",
		"renameObject", "replication", "requestPayment", "restore", "retention", "select", "session", "tagging",
		"torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
	}
}

// operationOf names the operation of a path-style request.
// IAM actions: docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
func operationOf(r *http.Request) operation {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	level := "object"
	switch {
	case bucket == "":
		level = "service"
	case key == "":
		level = "bucket"
	}
	kind := r.Method + " " + level
	if sub := subresourcesOf(r.URL.Query()); sub != "" {
		kind += "?" + sub
	}
	op := known(kind)
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		switch op.name {
		case "PutObject":
			op.name = "CopyObject"
		case "UploadPart": // gofakes3 would store an empty part
			op = operation{name: "UploadPartCopy"}
		}
	}
	op.bucket, op.key = bucket, key
	return op
}

func subresourcesOf(query url.Values) string {
	var found []string
	for _, name := range subresources() {
		if query.Has(name) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return strings.Join(found, "&")
}

func known(kind string) operation {
	onBucket := func(name, action string) operation {
		return operation{name: name, action: action}
	}
	onObject := func(name, action string) operation {
		return operation{name: name, action: action, onObject: true}
	}
	switch kind {
	case "GET service":
		return onBucket("ListBuckets", "s3:ListAllMyBuckets")
	case "GET bucket":
		return onBucket("ListObjects", "s3:ListBucket")
	case "HEAD bucket":
		return onBucket("HeadBucket", "s3:ListBucket")
	case "GET bucket?location":
		return onBucket("GetBucketLocation", "s3:GetBucketLocation")
	case "GET bucket?uploads":
		return onBucket("ListMultipartUploads", "s3:ListBucketMultipartUploads")
	case "POST bucket?delete":
		// Each key is checked by itself.
		return onObject("DeleteObjects", "s3:DeleteObject")
	case "GET object":
		return onObject("GetObject", "s3:GetObject")
	case "HEAD object":
		return onObject("HeadObject", "s3:GetObject")
	case "PUT object":
		return onObject("PutObject", "s3:PutObject")
	case "DELETE object":
		return onObject("DeleteObject", "s3:DeleteObject")
	case "POST object?uploads":
		return onObject("CreateMultipartUpload", "s3:PutObject")
	case "PUT object?partNumber&uploadId":
		return onObject("UploadPart", "s3:PutObject")
	case "POST object?uploadId":
		return onObject("CompleteMultipartUpload", "s3:PutObject")
	case "DELETE object?uploadId":
		return onObject("AbortMultipartUpload", "s3:AbortMultipartUpload")
	case "GET object?uploadId":
		return onObject("ListParts", "s3:ListMultipartUploadParts")
	}
	return operation{name: kind}
}
