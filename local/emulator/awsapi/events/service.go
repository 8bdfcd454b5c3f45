package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/partition"
)

// Bus is an event bus. Beside those that are made, each account has one named
// default in each Region.
type Bus struct {
	Account, Region, Name string
}

// ARN returns the bus's ARN.
func (b Bus) ARN() string {
	return fmt.Sprintf("arn:%s:events:%s:%s:event-bus/%s", partition.Of(b.Region).Name, b.Region, b.Account, b.Name)
}

// Event is an event in the form in which a bus hands it to its targets.
// docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html
type Event struct {
	Version    string          `json:"version"` // 0
	ID         string          `json:"id"`
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"` // of who sent it
	Time       time.Time       `json:"time"`    // in seconds
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"` // an object

	// Bus is the ARN of the bus that took it.
	Bus string `json:"-"`
}

// Service is the EventBridge endpoint.
type Service struct {
	now     func() time.Time
	targets protocol.Targets

	mu          sync.Mutex
	buses       map[string]bool // by ARN
	events      []Event
	subscribers []func(Event)
	fails       func(Event) bool
	taken       chan struct{} // closed, and made anew, when an event comes in
}

// New returns an endpoint with the default buses.
func New(now func() time.Time) *Service {
	s := &Service{now: now, buses: map[string]bool{}, taken: make(chan struct{})}
	s.targets = protocol.Targets{Prefix: "AWSEvents", Service: s.Name(), Version: "1.1", Handlers: map[string]protocol.Handler{
		"PutEvents": protocol.Handle(s.putEvents),
	}}
	return s
}

// Name implements [protocol.Service].
func (s *Service) Name() string { return "events" }

// Protocol implements [protocol.Service].
func (s *Service) Protocol() protocol.Protocol { return protocol.JSON }

// Operation implements [protocol.Service].
func (s *Service) Operation(r *http.Request) protocol.Operation { return s.targets.Operation(r) }

// PutBus adds a bus.
func (s *Service) PutBus(b Bus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buses[b.ARN()] = true
}

// Subscribe delivers all later events of all buses to a function. It is called while
// the sender still waits for its answer, from several goroutines at a time.
func (s *Service) Subscribe(target func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribers = append(s.subscribers, target)
}

// SetFailure has EventBridge fail from now on to take the events that fails says yes to;
// nil: none.
func (s *Service) SetFailure(fails func(Event) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = fails
}

// Events returns what the buses have taken, in order.
func (s *Service) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Await returns the first event that wanted says yes to, of those that were taken
// already or come in until ctx ends. Its error is ctx's.
func (s *Service) Await(ctx context.Context, wanted func(Event) bool) (Event, error) {
	for seen := 0; ; {
		s.mu.Lock()
		events, more := s.events, s.taken
		s.mu.Unlock()
		for ; seen < len(events); seen++ {
			if wanted(events[seen]) {
				return events[seen], nil
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("await an event, %d others seen: %w", seen, context.Cause(ctx))
		}
	}
}

// take records an event and delivers it, or says that EventBridge fails to. Of a bus that does not exist EventBridge
// takes events and drops them.
// https://github.com/localstack/localstack: test_put_events_nonexistent_event_bus
func (s *Service) take(ev Event) bool {
	s.mu.Lock()
	if s.fails != nil && s.fails(ev) {
		s.mu.Unlock()
		return false
	}
	if !s.buses[ev.Bus] && !strings.HasSuffix(ev.Bus, ":event-bus/"+defaultBus) {
		s.mu.Unlock()
		return true
	}
	s.events = append(s.events, ev)
	close(s.taken)
	s.taken = make(chan struct{})
	subscribers := slices.Clone(s.subscribers)
	s.mu.Unlock()
	for _, deliver := range subscribers {
		deliver(ev)
	}
	return true
}
