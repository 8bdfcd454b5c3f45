package awsapi

import (
	"maps"
	"sync"
)

// Call is a kind of request. Account is empty, and Operation "Unauthenticated",
// for requests whose signature was refused.
type Call struct {
	Account, Service, Operation string
}

type calls struct {
	mu     sync.Mutex
	counts map[Call]int
}

func (c *calls) add(call Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[Call]int{}
	}
	c.counts[call]++
}

// Calls returns how often each kind of request has come in since the start.
func (s *Server) Calls() map[Call]int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return maps.Clone(s.calls.counts)
}

// CallsTo counts the requests for one operation of a service, over all accounts.
func (s *Server) CallsTo(service, operation string) int {
	total := 0
	for call, n := range s.Calls() {
		if call.Service == service && call.Operation == operation {
			total += n
		}
	}
	return total
}
