package events

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

const (
	defaultBus = "default"
	maxEntries = 10
	// maxSize is the limit of all entries together, in bytes.
	// docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
	maxSize = 1 << 20
)

type putEventsInput struct {
	Entries    []entry
	EndpointID *string `json:"EndpointId"`
}

type entry struct {
	Source, DetailType, Detail, EventBusName string
	Resources                                []string
	Time                                     *float64 // seconds since 1970
}

type putEventsOutput struct {
	Entries          []result
	FailedEntryCount int
}

type result struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

// putEvents answers docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
func (s *Service) putEvents(r *protocol.Request, in *putEventsInput) (*putEventsOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	for _, e := range in.Entries {
		if err := authorize(r, e); err != nil {
			return nil, err
		}
	}
	out := &putEventsOutput{}
	for _, e := range in.Entries {
		taken := s.entry(r, e)
		if taken.ErrorCode != "" {
			out.FailedEntryCount++
		}
		out.Entries = append(out.Entries, taken)
	}
	return out, nil
}

// check returns the error that refuses the request as a whole.
func (in *putEventsInput) check() error {
	refuse := func(format string, args ...any) error {
		return protocol.Errorf(http.StatusBadRequest, "ValidationException", format, args...)
	}
	switch n := len(in.Entries); {
	case n == 0:
		return refuse("1 validation error detected: Value '[]' at 'entries' failed to satisfy constraint: Member must have length greater than or equal to 1")
	case n > maxEntries:
		return refuse("1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length less than or equal to %d", maxEntries)
	case in.EndpointID != nil:
		return refuse("The parameter EndpointId is not supported by this endpoint")
	}
	size := 0
	for _, e := range in.Entries {
		size += e.size()
	}
	if size > maxSize {
		return refuse("Total size of the entries in the request is over the limit.")
	}
	return nil
}

// size is what counts of an entry.
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html
func (e entry) size() int {
	n := len(e.Source) + len(e.DetailType) + len(e.Detail)
	if e.Time != nil {
		n += 14
	}
	for _, resource := range e.Resources {
		n += len(resource)
	}
	return n
}

// bus is the ARN of the bus that the entry is for.
func (e entry) bus(r *protocol.Request) string {
	name := cmp.Or(e.EventBusName, defaultBus)
	if strings.HasPrefix(name, "arn:") {
		return name
	}
	return Bus{Account: r.Caller.Account, Region: r.Region, Name: name}.ARN()
}

// authorize asks IAM about one entry; a refusal refuses all.
// docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
func authorize(r *protocol.Request, e entry) error {
	keys := iam.Conditions{}
	for key, value := range map[string]string{"events:source": e.Source, "events:detail-type": e.DetailType} {
		if value != "" {
			keys[key] = []string{value}
		}
	}
	return r.Authorize(iam.Request{Resource: e.bus(r), Conditions: keys})
}

// wrong is the result of an entry that EventBridge does not take, or nil.
func (e entry) wrong() *result {
	for _, required := range []struct{ name, value string }{{"Source", e.Source}, {"DetailType", e.DetailType}, {"Detail", e.Detail}} {
		if required.value == "" {
			return &result{ErrorCode: "InvalidArgument",
				ErrorMessage: "Parameter " + required.name + " is not valid. Reason: " + required.name + " is a required argument."}
		}
	}
	var object map[string]json.RawMessage
	switch {
	case strings.HasPrefix(e.Source, "aws."):
		return &result{ErrorCode: "NotAuthorizedForSourceException", ErrorMessage: "Not authorized for the source."}
	case json.Unmarshal([]byte(e.Detail), &object) != nil || object == nil:
		return &result{ErrorCode: "MalformedDetail", ErrorMessage: "Detail is malformed."}
	}
	return nil
}

// entry takes an entry, if it can.
func (s *Service) entry(r *protocol.Request, e entry) result {
	if refused := e.wrong(); refused != nil {
		return *refused
	}
	ev := s.event(r, e)
	if !s.take(ev) {
		return result{ErrorCode: "InternalFailure", ErrorMessage: "The service has failed."}
	}
	return result{EventID: ev.ID}
}

func (s *Service) event(r *protocol.Request, e entry) Event {
	at := s.now()
	if e.Time != nil {
		whole, fraction := math.Modf(*e.Time)
		at = time.Unix(int64(whole), int64(fraction*1e9))
	}
	return Event{
		Version: "0", ID: uuid.NewString(), DetailType: e.DetailType, Source: e.Source, Account: r.Caller.Account,
		Time: at.UTC().Truncate(time.Second), Region: r.Region, Resources: append([]string{}, e.Resources...),
		Detail: json.RawMessage(e.Detail), Bus: e.bus(r),
	}
}
