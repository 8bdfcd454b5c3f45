package s3

import (
	"net/http"
	"testing"
)

func TestOperationOf(t *testing.T) {
	tests := []struct {
		method, url string
		copySource  string
		name        string
		supported   bool
	}{
		{"GET", "/", "", "ListBuckets", true},
		{"GET", "/b", "", "ListObjects", true},
		{"GET", "/b/?list-type=2&prefix=a", "", "ListObjects", true},
		{"HEAD", "/b", "", "HeadBucket", true},
		{"GET", "/b?location", "", "GetBucketLocation", true},
		{"GET", "/b?uploads", "", "ListMultipartUploads", true},
		{"POST", "/b?delete", "", "DeleteObjects", true},
		{"GET", "/b/k/with/slashes?x-id=GetObject", "", "GetObject", true},
		{"HEAD", "/b/k", "", "HeadObject", true},
		{"PUT", "/b/k", "", "PutObject", true},
		{"PUT", "/b/k", "b/other", "CopyObject", true},
		{"DELETE", "/b/k", "", "DeleteObject", true},
		{"POST", "/b/k?uploads", "", "CreateMultipartUpload", true},
		{"PUT", "/b/k?partNumber=1&uploadId=u", "", "UploadPart", true},
		{"PUT", "/b/k?partNumber=1&uploadId=u", "b/other", "UploadPartCopy", false},
		{"POST", "/b/k?uploadId=u", "", "CompleteMultipartUpload", true},
		{"DELETE", "/b/k?uploadId=u", "", "AbortMultipartUpload", true},
		{"GET", "/b/k?uploadId=u", "", "ListParts", true},
		{"PUT", "/b", "", "PUT bucket", false},
		{"GET", "/b/k?acl", "", "GET object?acl", false},
		{"DELETE", "/b/k?versionId=v", "", "DELETE object?versionId", false},
		{"GET", "/b?policy", "", "GET bucket?policy", false},
		{"POST", "/b/k", "", "POST object", false},
		{"PATCH", "/", "", "PATCH service", false},
	}
	for _, tt := range tests {
		r, err := http.NewRequest(tt.method, tt.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Copy-Source", tt.copySource)
		op := operationOf(r)
		if op.name != tt.name || (op.action != "") != tt.supported {
			t.Errorf("%s %s: %+v, want %s", tt.method, tt.url, op, tt.name)
		}
	}
}
