package main

import (
	"fmt"
	"testing"

	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

func TestGate(t *testing.T) {
	tests := []struct {
		name        string
		stopped     bool
		failed      int // targets that left a mark
		maxFailures int
		says        string // of a refusal; empty: the target may start
	}{
		{name: "nothing failed"},
		{name: "as many as may fail", failed: 2, maxFailures: 2},
		{name: "one more", failed: 3, maxFailures: 2, says: "more than the 2 targets that may fail had failed"},
		{name: "none may fail", failed: 1, says: "more than the 0 targets that may fail had failed"},
		{name: "stopped", stopped: true, maxFailures: 9, says: "somebody stopped the rollout"},
		{name: "stopped, and too many failed", stopped: true, failed: 3, says: "somebody stopped the rollout"},
	}
	resolver, _ := newResolver(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := inputFor(t, deployers)
			in.Run.MaxFailures = test.maxFailures
			if test.stopped {
				mark(t, in, runs.Stop)
			}
			for i := range test.failed {
				mark(t, in, fmt.Sprint(runs.Failed, i))
			}
			_, err := resolver.Handle(t.Context(), in)
			if test.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			expectFault(t, in, err, fault.RolloutStopped, test.says)
		})
	}
}

// A list of S3 holds a thousand marks at most.
func TestGateWithMoreMarksThanAPage(t *testing.T) {
	resolver, _ := newResolver(t)
	in := inputFor(t, deployers)
	for i := range 1_002 {
		mark(t, in, fmt.Sprint(runs.Failed, i))
	}
	in.Run.MaxFailures = 1_002
	if _, err := resolver.Handle(t.Context(), in); err != nil {
		t.Error(err)
	}
	in.Run.MaxFailures = 1_001
	_, err := resolver.Handle(t.Context(), in)
	expectFault(t, in, err, fault.RolloutStopped, "more than the 1001 targets that may fail had failed")
}

// A target that is stopped at the gate has reached nothing.
func TestGateComesFirst(t *testing.T) {
	resolver, _ := newResolver(t)
	in := inputFor(t, deployers)
	mark(t, in, runs.Stop)
	before := local.CallsTo("sts", "AssumeRole")
	_, err := resolver.Handle(t.Context(), in)
	expectFault(t, in, err, fault.RolloutStopped, "somebody stopped the rollout")
	if calls := local.CallsTo("sts", "AssumeRole") - before; calls != 0 {
		t.Errorf("%d calls of AssumeRole", calls)
	}
}
