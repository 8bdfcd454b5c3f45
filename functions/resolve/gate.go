package main

import (
	"context"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// Marks is where the gate looks for marks; [runs.Bucket] is one.
type Marks interface {
	First(ctx context.Context, prefix string, most int) ([]string, error)
	List(ctx context.Context, prefix string) ([]string, error)
}

// passGate asks, before a target starts, whether the rollout still goes on: not
// after somebody stopped it, and not when more targets have failed than it
// tolerates. Then it fails with [fault.RolloutStopped]. Targets that passed before
// go on to their own end.
func passGate(ctx context.Context, marks Marks, in contract.Item) error {
	prefix := in.Run.Prefix + runs.Marks
	// The stop mark comes first, so one short list tells both.
	found, err := marks.First(ctx, prefix, in.Run.MaxFailures+2)
	if err != nil {
		return err
	}
	if len(found) > 0 && found[0] == in.Run.Prefix+runs.Stop {
		return fault.New(fault.RolloutStopped, "%s: somebody stopped the rollout before this target's turn", in.Target)
	}
	if len(found) == 1_000 && in.Run.MaxFailures >= len(found) {
		if found, err = marks.List(ctx, prefix); err != nil { // a list holds no more
			return err
		}
	}
	if len(found) > in.Run.MaxFailures {
		return fault.New(fault.RolloutStopped, "%s: more than the %d targets that may fail had failed before this target's turn", in.Target, in.Run.MaxFailures)
	}
	return nil
}
