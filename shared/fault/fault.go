package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Name is the stable name of an error, such as "CrossApply.Conflict".
type Name string

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

// MaxRepeated bounds, in bytes, what a message repeats of a text that comes from
// elsewhere: a schema error can quote much of the object, and a condition's message
// may be 32 KiB.
const MaxRepeated = 600

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
