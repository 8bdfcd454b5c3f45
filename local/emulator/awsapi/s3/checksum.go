package s3

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

const checksumPrefix = "X-Amz-Checksum-"

// verifyChecksums compares the checksums that a client sent, as headers or as
// trailers, with the payload, and returns BadDigest as S3 does on a difference.
// docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
func verifyChecksums(header http.Header, payload []byte) error {
	for name, values := range header {
		algorithm, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		sum := newHash(strings.ToUpper(algorithm))
		if sum == nil {
			continue // x-amz-checksum-mode, -type and -algorithm carry no sum
		}
		sum.Write(payload)
		if base64.StdEncoding.EncodeToString(sum.Sum(nil)) != values[0] {
			return protocol.Errorf(http.StatusBadRequest, "BadDigest",
				"The %s you specified did not match the calculated checksum.", strings.ToUpper(algorithm))
		}
	}
	return nil
}

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "CRC32":
		return crc32.NewIEEE()
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "CRC64NVME":
		// The polynomial of the NVM Express specification, bits reversed.
		return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5))
	case "SHA1":
		return sha1.New()
	case "SHA256":
		return sha256.New()
	}
	return nil
}
