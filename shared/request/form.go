package request

import "regexp"

// form is what a text looks like, and how long it is at most, in bytes. A repetition
// that a regular expression counts is compiled to as many states: a dozen such took a
// millisecond of each cold start.
type form struct {
	most int
	*regexp.Regexp
}

// MatchString says whether a text has the form.
func (f form) MatchString(text string) bool {
	return len(text) <= f.most && f.Regexp.MatchString(text)
}
