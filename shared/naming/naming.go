// Package naming makes a name that AWS takes of one that it may not take, such as a
// role session's of an execution's, or a stack's of a cluster's.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

// Fit returns a name as it is where it has from least to most bytes and nothing
// that is refused. Otherwise each refused character becomes "-", and the name ends
// in a hash of the whole, so that two names never become one.
func Fit(name string, refused *regexp.Regexp, least, most int) string {
	fit := refused.ReplaceAllString(name, "-")
	if fit == name && len(name) >= least && len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "-" + hex.EncodeToString(sum[:4])
	return fit[:min(len(fit), most-len(hash))] + hash
}
