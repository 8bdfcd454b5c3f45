package s3

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// store is gofakes3's own, where it answers conditional writes and lists in
// pages as S3 does.
type store struct{ *s3mem.Backend }

// PutObject names what stood in the way of a conditional write as S3 does.
// docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
func (s store) PutObject(bucket, key string, meta map[string]string, body io.Reader, size int64, when *gofakes3.PutConditions) (gofakes3.PutObjectResult, error) {
	result, err := s.Backend.PutObject(bucket, key, meta, body, size, when)
	if !gofakes3.HasErrorCode(err, gofakes3.ErrPreconditionFailed) {
		return result, err
	}
	if when.IfMatch != nil {
		if _, err := s.HeadObject(bucket, key); gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchKey) {
			return result, err
		}
	}
	return result, gofakes3.ErrorMessage(gofakes3.ErrPreconditionFailed, preconditionFailed)
}

const preconditionFailed = "At least one of the pre-conditions you specified did not hold"

// ListBucket counts a page's keys and common prefixes together, and says that
// more follow only where more match.
// docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
func (s store) ListBucket(bucket string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	all, err := s.Backend.ListBucket(bucket, prefix, gofakes3.ListBucketPage{Marker: before(prefix)})
	if err != nil {
		return nil, err
	}
	type entry struct {
		name   string
		object *gofakes3.Content // nil: a common prefix
	}
	var entries []entry
	for _, object := range all.Contents {
		entries = append(entries, entry{object.Key, object})
	}
	for _, common := range all.CommonPrefixes {
		entries = append(entries, entry{name: common.Prefix})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	list := gofakes3.NewObjectList()
	for _, e := range entries {
		if page.HasMarker && (e.name <= page.Marker || e.object == nil && strings.HasPrefix(page.Marker, e.name)) {
			continue
		}
		if int64(len(list.Contents)+len(list.CommonPrefixes)) == page.MaxKeys {
			list.IsTruncated = page.MaxKeys > 0
			break
		}
		if list.NextMarker = e.name; e.object != nil {
			list.Add(e.object)
		} else {
			list.AddPrefix(e.name)
		}
	}
	if !list.IsTruncated {
		list.NextMarker = ""
	}
	return list, nil
}

// before is a key that comes before those with the prefix, and after most others:
// the backend looks at every object from there on.
func before(prefix *gofakes3.Prefix) string {
	if prefix == nil || !prefix.HasPrefix || prefix.Prefix == "" || prefix.Prefix[len(prefix.Prefix)-1] == 0 {
		return ""
	}
	last := len(prefix.Prefix) - 1
	return prefix.Prefix[:last] + string([]byte{prefix.Prefix[last] - 1}) + "\xff"
}
