package s3

import (
	"errors"
	"net/http"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// The sums are the published check values of each algorithm for "123456789".
func TestVerifyChecksums(t *testing.T) {
	for name, sum := range map[string]string{
		"X-Amz-Checksum-Crc32":     "y/Q5Jg==",
		"X-Amz-Checksum-Crc32c":    "4waSgw==",
		"X-Amz-Checksum-Crc64nvme": "rosUhgp5mIg=",
		"X-Amz-Checksum-Sha1":      "98O8HYCOBHMq32eZZczDTKeuNEE=",
		"X-Amz-Checksum-Sha256":    "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
		"X-Amz-Checksum-Mode":      "ENABLED",
	} {
		header := http.Header{name: {sum}}
		if err := verifyChecksums(header, []byte("123456789")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if name == "X-Amz-Checksum-Mode" {
			continue
		}
		var bad *protocol.Error
		if err := verifyChecksums(header, []byte("other")); !errors.As(err, &bad) || bad.Code != "BadDigest" {
			t.Errorf("%s of another payload: %v", name, err)
		}
	}
}
