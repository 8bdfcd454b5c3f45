package fault

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Name is the stable name of an error, such as "CrossApply.Conflict".
type Name string

// The names. Each is documented in [Catalogue]: there, and nowhere else, stand
// its meaning and the advice.
const (
	InvalidRequest        Name = "CrossApply.InvalidRequest"
	AssumeRoleDenied      Name = "CrossApply.AssumeRoleDenied"
	DescribeClusterDenied Name = "CrossApply.DescribeClusterDenied"
	ClusterNotFound       Name = "CrossApply.ClusterNotFound"
	ClusterNotActive      Name = "CrossApply.ClusterNotActive"
	ClusterUnreachable    Name = "CrossApply.ClusterUnreachable"
	ClusterError          Name = "CrossApply.ClusterError"
	Unauthenticated       Name = "CrossApply.Unauthenticated"
	Forbidden             Name = "CrossApply.Forbidden"
	KindNotServed         Name = "CrossApply.KindNotServed"
	Conflict              Name = "CrossApply.Conflict"
	Invalid               Name = "CrossApply.Invalid"
	AlreadyExists         Name = "CrossApply.AlreadyExists"
	NotFound              Name = "CrossApply.NotFound"
	Throttled             Name = "CrossApply.Throttled"
	AWSUnavailable        Name = "CrossApply.AWSUnavailable"
	AWSError              Name = "CrossApply.AWSError"
	ResourceFailed        Name = "CrossApply.ResourceFailed"
	ReadyTimeout          Name = "CrossApply.ReadyTimeout"
	RuleFailed            Name = "CrossApply.RuleFailed"
	Overwritten           Name = "CrossApply.Overwritten"
	WouldRemove           Name = "CrossApply.WouldRemove"
	RegionNotEnabled      Name = "CrossApply.RegionNotEnabled"
	RolloutStopped        Name = "CrossApply.RolloutStopped"
	ResourceBusy          Name = "CrossApply.ResourceBusy"
	ResultUnreadable      Name = "CrossApply.ResultUnreadable"
	FirstExecutionStopped Name = "CrossApply.FirstExecutionStopped"
	RolloutFailed         Name = "CrossApply.RolloutFailed"
	Internal              Name = "CrossApply.Internal"
)

// Entry says what a name means.
type Entry struct {
	// When completes the sentence "is returned when ...".
	When string
	// Do is what a person does about it.
	Do string
	// Retry says whether the definition makes the same call again.
	Retry Retry
}

// Retry says when repeating a call that failed may help.
type Retry int

const (
	// Never: the same call fails the same way.
	Never Retry = iota
	// Always: it may succeed a little later.
	Always
	// OnceProven: only where an earlier step proved access. An API server that
	// restarts refuses what it allowed before, for a moment.
	OnceProven
)

// Catalogue returns what every name means.
func Catalogue() map[Name]Entry { return maps.Clone(catalogue) }

// Names returns the closed list, sorted.
func Names() []Name { return slices.Sorted(maps.Keys(catalogue)) }

// Error is an error with a name. The message is for a person and never holds a
// manifest's body, a token or a credential.
type Error struct {
	Name    Name
	Message string
	cause   error
}

// Error returns the message: what happened, where, and what to do.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the error that led to this one, if any.
func (e *Error) Unwrap() error { return e.cause }

// New returns an error with a name and a message.
func New(name Name, format string, args ...any) error {
	return &Error{Name: name, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives err a name and a message. The message is not extended by err's
// text: say in it what a person needs to know.
func Wrap(err error, name Name, format string, args ...any) error {
	return &Error{Name: name, Message: fmt.Sprintf(format, args...), cause: err}
}

// Shorten bounds a text that comes from elsewhere to most bytes before it goes
// into a message: messages cross states, which carry a few KiB at most.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// NameOf returns the name of the outermost named error in err's chain, and
// [Internal] for an error that nobody named.
func NameOf(err error) Name {
	var named *Error
	if errors.As(err, &named) {
		return named.Name
	}
	return Internal
}
