package main

import (
	"fmt"
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

func TestGate(t *testing.T) {
	wave := contract.Phase{Kind: contract.PhaseWave, Number: 2, Name: "canary", Operation: operation.Apply, MaxFailures: 9}
	strict := wave
	strict.MaxFailures = 0
	tests := []struct {
		name    string
		stopped bool
		failed  map[int]int // targets that left a mark, by phase
		phase   contract.Phase
		// maxFailures is that of the whole.
		maxFailures int
		says        string // of a refusal; empty: the target may start
	}{
		{name: "nothing failed", phase: strict},
		{name: "as many as may fail", phase: wave, failed: map[int]int{2: 2}, maxFailures: 2},
		{name: "one more", phase: wave, failed: map[int]int{2: 3}, maxFailures: 2, says: "more than the 2 targets that may fail had failed"},
		{name: "none may fail", phase: wave, failed: map[int]int{2: 1}, says: "more than the 0 targets that may fail had failed"},
		{name: "others of the whole", phase: strict, failed: map[int]int{0: 1, 1: 2}, maxFailures: 2, says: "more than the 2 targets that may fail had failed"},
		{name: "as many of the whole as may fail, none of the wave's", phase: strict, failed: map[int]int{0: 1, 1: 1, 20: 1}, maxFailures: 3},
		{name: "one of the wave's", phase: strict, failed: map[int]int{2: 1}, maxFailures: 9, says: "more than the 0 targets of wave canary that may fail had failed"},
		{name: "stopped", phase: wave, stopped: true, maxFailures: 9, says: "somebody stopped the rollout"},
		{name: "stopped, and too many failed", phase: wave, stopped: true, failed: map[int]int{2: 3}, says: "somebody stopped the rollout"},
		{name: "the check after a wave that failed", phase: contract.Phase{Kind: contract.PhaseCheck, Number: 3, Operation: operation.Verify}, failed: map[int]int{2: 5, 3: 1}},
		{name: "a rollback", phase: contract.Phase{Kind: contract.PhaseRollback, Number: 3, Operation: operation.Rollback}, failed: map[int]int{2: 5, 3: 1}},
		{name: "a rollback that is stopped", phase: contract.Phase{Kind: contract.PhaseRollback, Number: 3, Operation: operation.Rollback}, stopped: true, says: "somebody stopped the rollout"},
	}
	resolver, _ := newResolver(t)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := inputFor(t, deployers)
			in.Run.MaxFailures, in.Phase = test.maxFailures, test.phase
			if test.stopped {
				mark(t, in, runs.Stop)
			}
			mark(t, in, runs.Marks) // what the S3 console makes of folders
			mark(t, in, runs.Failed)
			for phase, failed := range test.failed {
				for i := range failed {
					mark(t, in, fmt.Sprint(runs.PhaseFailed(phase), i))
				}
			}
			in.Stood = []contract.Stood{{}}
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
		mark(t, in, fmt.Sprint(runs.PhaseFailed(1), i))
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
