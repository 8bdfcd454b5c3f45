package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/mapresults"
	"github.com/crossapply/crossapply/shared/phases"
	"github.com/crossapply/crossapply/shared/runs"
)

// rollout is an execution and what it left in the run bucket, but for what single
// targets left.
type rollout struct {
	store  Store
	now    time.Time
	plan   contract.PlanOutput
	layout contract.Layout
	// keys are the keys of all objects below the execution's prefix.
	keys keys
	// waves are the numbers of the targets' waves.
	waves map[contract.Target]int
	// next is what was decided last; where an execution did not report itself, what
	// comes after the phases that have ended, which was then under way.
	next contract.Next
	// broke is the error that ended the rollout outside of a Map, if any.
	broke *contract.StateError
	// phases are those of which anything is known, in order. Only the last one can be one
	// that has not ended, or of which nobody has noted that it has.
	phases []phase
}

// phase is a phase, and how its children ended.
type phase struct {
	contract.EndedPhase
	// ended says that review has noted its end, and written that its Map has written
	// its results.
	ended, written bool
	// begun says that a target has left something of a phase that has not ended.
	begun bool
	// children has how each target ended about which the Map wrote an entry.
	children map[contract.Target]contract.Result
	// lost says what of the Map's results cannot be read.
	lost []string
}

// keys are keys in the order of their bytes.
type keys []string

func (k keys) has(key string) bool {
	_, found := slices.BinarySearch(k, key)
	return found
}

// below returns those with a prefix.
func (k keys) below(prefix string) keys {
	from, _ := slices.BinarySearch(k, prefix)
	rest := k[from:]
	for n, key := range rest {
		if !strings.HasPrefix(key, prefix) {
			return rest[:n]
		}
	}
	return rest
}

// find reads what an execution left.
func find(ctx context.Context, store Store, in contract.ReportInput, name string, now time.Time) (rollout, error) {
	prefix := runs.Prefix(name)
	listed, err := store.List(ctx, prefix)
	if err != nil {
		return rollout{}, err
	}
	slices.Sort(listed)
	r := rollout{store: store, now: now, keys: listed, waves: map[contract.Target]int{}, broke: in.RolloutError}
	if !r.keys.has(prefix + runs.Plan) {
		return rollout{}, fault.New(fault.InvalidRequest,
			"there is no %s: the request was refused, or repeats that of another execution, or plan failed, or the bucket no longer keeps it", store.URI(prefix+runs.Plan))
	}
	if err := store.GetJSON(ctx, prefix+runs.Plan, &r.plan); err != nil {
		return rollout{}, err
	}
	if r.plan.Run.Execution != in.Execution {
		return rollout{}, fault.New(fault.InvalidRequest, "in this deployment the execution of that name is %s", r.plan.Run.Execution)
	}
	if err := store.GetJSON(ctx, prefix+runs.Layout, &r.layout); err != nil {
		return rollout{}, err
	}
	for _, target := range r.layout.Targets {
		r.waves[target.Target] = target.Wave
	}
	return r, r.readPhases(ctx, in.Last)
}

// readPhases reads how the phases ended, and what was decided last.
func (r *rollout) readPhases(ctx context.Context, last *contract.Next) error {
	prefix := r.plan.Run.Prefix
	for number := 1; r.keys.has(prefix + runs.EndedPhase(number)); number++ {
		p := phase{ended: true}
		if err := r.store.GetJSON(ctx, prefix+runs.EndedPhase(number), &p.EndedPhase); err != nil {
			return err
		}
		r.phases = append(r.phases, p)
	}
	if r.next = r.underWay(); last != nil {
		r.next = *last
	}
	if r.next.Phase != nil {
		p := phase{EndedPhase: contract.EndedPhase{Phase: *r.next.Phase}}
		p.begun = r.begun(p.Phase)
		r.phases = append(r.phases, p)
	}
	for i := range r.phases {
		if err := r.readChildren(ctx, &r.phases[i]); err != nil {
			return err
		}
	}
	return nil
}

// state is what the next phase is decided from.
func (r rollout) state() phases.State {
	s := phases.State{Plan: r.plan, Layout: r.layout, Stopped: r.stopped(), Now: r.now}
	if r.next.Action != "" {
		s.Last = &r.next
	}
	for _, p := range r.phases {
		if p.ended {
			s.Ended = append(s.Ended, p.EndedPhase)
		}
	}
	return s
}

// stopped says that somebody has written the stop mark.
func (r rollout) stopped() bool { return r.keys.has(r.plan.Run.Prefix + runs.Stop) }

// underWay returns what comes after the phases that have ended.
func (r rollout) underWay() contract.Next {
	s := r.state()
	s.Stopped = false // targets that were under way when somebody stopped it have gone on
	s.Touched = make([]int, len(r.layout.Waves))
	for target, wave := range r.waves {
		if r.journaled(forward, target) {
			s.Touched[wave-1]++
		}
	}
	return phases.Decide(s)
}

// ended says that the execution has come to its end. Where it has not, it was stopped
// meanwhile, or it still runs.
func (r rollout) ended() bool { return r.broke != nil || r.next.Action == contract.ActionReport }

// begun says that a target has left something of a phase.
func (r rollout) begun(p contract.Phase) bool {
	if len(r.keys.below(r.plan.Run.Prefix+runs.PhaseFailed(p.Number))) > 0 {
		return true
	}
	for target, wave := range r.waves {
		if p.Kind == contract.PhaseWave && wave == p.Wave && r.journaled(forward, target) {
			return true
		}
	}
	return false
}

// readChildren reads the results of a phase's Map. Whatever in them cannot be read
// costs the targets that it is about, and no others. It fails only with what may pass;
// then the whole report is worth another try.
func (r rollout) readChildren(ctx context.Context, p *phase) error {
	p.children = map[contract.Target]contract.Result{}
	prefix := r.plan.Run.Prefix + runs.PhaseResults(p.Number)
	written, lost, err := mapresults.Read(ctx, r.store, prefix, r.keys.below(prefix+"/"), func(c mapresults.Child) {
		if err := r.add(p, c); err != nil {
			p.lost = append(p.lost, fault.Shorten(c.Place+": "+err.Error(), maxMessage))
		}
	})
	p.written, p.lost = written, append(p.lost, lost...)
	return err
}

// add takes an entry of the results of a phase. It fails where the entry does not say
// which of the phase's targets it is about.
func (r rollout) add(p *phase, c mapresults.Child) error {
	target, err := c.Target()
	if err != nil {
		return err
	}
	if r.waves[target] != p.Wave {
		return fmt.Errorf("%s is not a target of this phase", target)
	}
	result, err := c.Result(target, r.now)
	if _, twice := p.children[target]; twice {
		err = errors.New("there are two of them")
	}
	if err != nil {
		result = mapresults.Unreadable(target, err)
	}
	result.Stood = nil // what it was good for is over
	p.children[target] = result
	return nil
}
