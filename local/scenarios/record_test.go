package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
)

var recordCommands = map[string]command{
	"untouched":   {"<clusters>", 1, 1, false, untouched},
	"concurrency": {"<most>", 1, 1, false, hasConcurrency},
	"order":       {"[-bake <duration>] <wave>...", 2, 50, false, hasOrder},
	"opens":       {"<duration>", 1, 1, false, opens},
	"after":       {"<time> <wave>", 2, 2, false, beganAfter},
}

// mark notes where the records of all clusters end.
func (s *script) mark() error {
	s.marks = map[string]cluster.Mark{}
	for _, c := range fleet() {
		virtual := shared.FleetCluster(c.Target)
		if virtual == nil {
			continue
		}
		mark, err := virtual.Mark()
		if err != nil {
			return err
		}
		s.marks[c.Cluster] = mark
	}
	return nil
}

// span is when a target was under way, by its API server's record: from the first
// request of the execution until the operator last wrote the status of the object,
// without which a target cannot have become Ready.
type span struct {
	cluster, wave string
	from, to      time.Time
}

// requests are those of the execution at a cluster, and those of operators.
func (s *script) requests(t contract.Target) (ours, theirs []cluster.Request, err error) {
	virtual := shared.FleetCluster(t)
	if virtual == nil {
		return nil, nil, nil // nothing listens there
	}
	_, name, err := contract.ParseExecution(s.arn)
	if err != nil {
		return nil, nil, err
	}
	all, err := virtual.Requests(s.marks[t.Cluster])
	for _, r := range all {
		switch {
		case strings.HasSuffix(r.User, "/"+eksauth.SessionName(name)):
			ours = append(ours, r)
		case strings.HasSuffix(r.Resource, "/status") && r.Name == s.topic:
			theirs = append(theirs, r)
		}
	}
	return ours, theirs, err
}

// spans returns those of all targets that were Ready.
func (s *script) spans() ([]span, error) {
	var spans []span
	for _, result := range s.report {
		if result["outcome"] != string(contract.OutcomeReady) {
			return nil, fmt.Errorf("%s is %v: only of targets that became Ready the record tells when they ended", target(result), result["outcome"])
		}
		targets, err := clusters(target(result))
		if err != nil {
			return nil, err
		}
		ours, theirs, err := s.requests(targets[0])
		if err != nil {
			return nil, err
		}
		if len(ours) == 0 || len(theirs) == 0 {
			return nil, fmt.Errorf("%s: the record has %d requests of the execution and %d of its operator", target(result), len(ours), len(theirs))
		}
		one := span{cluster: target(result), from: ours[0].Received}
		one.wave, _ = result["wave"].(string)
		for _, r := range ours {
			one.from = earliest(one.from, r.Received)
		}
		for _, r := range theirs {
			if r.Answered.After(one.to) {
				one.to = r.Answered
			}
		}
		spans = append(spans, one)
	}
	if len(spans) == 0 {
		return nil, errors.New("the report has no target")
	}
	return spans, nil
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func untouched(_ context.Context, s *script, _ bool, args []string) error {
	targets, err := clusters(args[0])
	if err != nil {
		return err
	}
	for _, t := range targets {
		ours, _, err := s.requests(t)
		if err != nil {
			return err
		}
		if len(ours) > 0 {
			return fmt.Errorf("%s got %d requests, the first to %s %s", t.Cluster, len(ours), ours[0].Verb, ours[0].Resource)
		}
	}
	return nil
}

func hasConcurrency(_ context.Context, s *script, _ bool, args []string) error {
	most, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	spans, err := s.spans()
	if err != nil {
		return err
	}
	highest := 0
	for _, at := range spans {
		under := 0
		for _, other := range spans {
			if !other.from.After(at.from) && other.to.After(at.from) {
				under++
			}
		}
		highest = max(highest, under)
	}
	if highest > most || highest < min(most, 2) {
		return fmt.Errorf("%d targets were under way at once", highest)
	}
	return nil
}

func hasOrder(_ context.Context, s *script, _ bool, args []string) (err error) {
	var bake time.Duration
	if args[0] == "-bake" {
		if bake, err = time.ParseDuration(args[1]); err != nil {
			return err
		}
		args = args[2:]
	}
	spans, err := s.spans()
	if err != nil {
		return err
	}
	for _, one := range spans {
		if !slices.Contains(args, one.wave) {
			return fmt.Errorf("%s is in wave %q", one.cluster, one.wave)
		}
	}
	for i := 1; i < len(args); i++ {
		for _, before := range spans {
			for _, then := range spans {
				if before.wave == args[i-1] && then.wave == args[i] && then.from.Before(before.to.Add(bake)) {
					return fmt.Errorf("%s of wave %s began %s after %s of wave %s had become Ready",
						then.cluster, then.wave, then.from.Sub(before.to), before.cluster, before.wave)
				}
			}
		}
	}
	return nil
}

func opens(_ context.Context, s *script, _ bool, args []string) error {
	least, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	at := time.Now().UTC().Add(least + time.Minute - 1).Truncate(time.Minute)
	s.ts.Setenv("FROM", at.Format("15:04"))
	s.ts.Setenv("TO", at.Add(time.Hour).Format("15:04"))
	s.ts.Setenv("OPENS", at.Format(time.RFC3339))
	return nil
}

func beganAfter(_ context.Context, s *script, _ bool, args []string) error {
	at, err := time.Parse(time.RFC3339, args[0])
	if err != nil {
		return err
	}
	spans, err := s.spans()
	if err != nil {
		return err
	}
	count := 0
	for _, one := range spans {
		if one.wave != args[1] {
			continue
		}
		count++
		if one.from.Before(at) {
			return fmt.Errorf("%s began at %s", one.cluster, one.from)
		}
	}
	if count == 0 {
		return fmt.Errorf("no target is in wave %s", args[1])
	}
	return nil
}
