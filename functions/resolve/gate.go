package main

import (
	"context"
	"slices"
	"strings"

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
// after somebody stopped it, and no target of a wave when more targets have failed than
// may, of all or in this phase. Then it fails with [fault.RolloutStopped]. Targets that
// passed before go on to their own end.
func passGate(ctx context.Context, marks Marks, in contract.Item) error {
	prefix := in.Run.Prefix + runs.Marks
	// The stop mark sorts before those of failures, so one short list tells both, also
	// beside the empty objects that the S3 console makes of folders.
	found, err := marks.First(ctx, prefix, in.Run.MaxFailures+4)
	if err != nil {
		return err
	}
	if slices.Contains(found, in.Run.Prefix+runs.Stop) {
		return fault.New(fault.RolloutStopped, "%s: somebody stopped the rollout before this target's turn", in.Target)
	}
	if in.Phase.Kind != contract.PhaseWave {
		return nil // what has been begun is checked, and brought back, whatever has failed
	}
	if len(found) == 1_000 { // a list holds no more
		if found, err = marks.List(ctx, prefix); err != nil {
			return err
		}
	}
	if count(found, in.Run.Prefix+runs.Failed) > in.Run.MaxFailures {
		return fault.New(fault.RolloutStopped, "%s: more than the %d targets that may fail had failed before this target's turn", in.Target, in.Run.MaxFailures)
	}
	if count(found, in.Run.Prefix+runs.PhaseFailed(in.Phase.Number)) > in.Phase.MaxFailures {
		return fault.New(fault.RolloutStopped, "%s: more than the %d targets of wave %s that may fail had failed before this target's turn",
			in.Target, in.Phase.MaxFailures, in.Phase.Name)
	}
	return nil
}

// count counts the marks below a prefix.
func count(found []string, prefix string) int {
	marks := 0
	for _, key := range found {
		if strings.HasPrefix(key, prefix) && !strings.HasSuffix(key, "/") {
			marks++
		}
	}
	return marks
}
