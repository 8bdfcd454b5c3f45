package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/operation"
)

var recordCommands = map[string]command{
	"untouched":   {"<clusters>", 1, 1, true, untouched},
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

func untouched(_ context.Context, s *script, not bool, args []string) error {
	targets, err := clusters(args[0])
	if err != nil {
		return err
	}
	for _, t := range targets {
		ours, _, err := s.requests(t)
		switch {
		case err != nil:
			return err
		case not && len(ours) == 0:
			return fmt.Errorf("%s got no request", t.Cluster)
		case !not && len(ours) > 0:
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
	if n := atOnce(spans); n > most || n < min(most, 2) {
		return fmt.Errorf("%d targets were under way at once", n)
	}
	return nil
}

// atOnce is how many targets were under way at the same time, at most.
func atOnce(spans []span) (most int) {
	for _, one := range spans {
		n := 0
		for _, other := range spans {
			if !other.from.After(one.from) && other.to.After(one.from) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
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
	return inOrder(spans, args, bake)
}

// inOrder returns an error where a target of a wave began before all of the wave before
// had become Ready and baked.
func inOrder(spans []span, waves []string, bake time.Duration) error {
	for _, one := range spans {
		wave := slices.Index(waves, one.wave)
		if wave < 0 {
			return fmt.Errorf("%s is in wave %q", one.cluster, one.wave)
		}
		for _, before := range spans {
			if slices.Index(waves, before.wave) < wave && one.from.Before(before.to.Add(bake)) {
				return fmt.Errorf("%s of wave %s began %s after %s of wave %s had become Ready",
					one.cluster, one.wave, one.from.Sub(before.to), before.cluster, before.wave)
			}
		}
	}
	return nil
}

// What the record must show is told from spans such as these.
func TestSpans(t *testing.T) {
	at := func(wave string, from, to int) span {
		return span{cluster: "c", wave: wave, from: time.Unix(int64(from), 0), to: time.Unix(int64(to), 0)}
	}
	for _, tc := range []struct {
		spans  []span
		atOnce int
		bake   time.Duration
		order  bool
	}{
		{[]span{at("a", 0, 2), at("b", 2, 3)}, 1, 0, true},
		{[]span{at("a", 0, 2), at("b", 2, 3)}, 1, time.Second, false},
		{[]span{at("a", 0, 2), at("b", 3, 4)}, 1, time.Second, true},
		{[]span{at("a", 0, 2), at("b", 1, 3)}, 2, 0, false},
		{[]span{at("a", 0, 9), at("a", 1, 2), at("a", 3, 4), at("b", 9, 10)}, 2, 0, true},
		{[]span{at("a", 0, 9), at("a", 1, 5), at("a", 3, 4), at("b", 8, 10)}, 3, 0, false},
		{[]span{at("c", 0, 1)}, 1, 0, false},
	} {
		err := inOrder(tc.spans, []string{"a", "b"}, tc.bake)
		if got := atOnce(tc.spans); got != tc.atOnce || (err == nil) != tc.order {
			t.Errorf("%v: %d at once, %v", tc.spans, got, err)
		}
	}
}

// honest returns an error where the answer and the report do not add up, or a target is
// reported as one that was not changed, and its record shows that it was.
func (s *script) honest() error {
	counts, total := s.answer["counts"].(map[string]any), 0
	for _, n := range counts {
		n, _ := n.(float64)
		total += int(n)
	}
	if total != len(s.report) {
		return fmt.Errorf("the answer counts %v, and the report has %d results", counts, len(s.report))
	}
	for _, result := range s.report {
		targets, err := clusters(target(result))
		kept := s.answer["dryRun"] != true && s.answer["operation"] != string(operation.Check) &&
			result["outcome"] != string(contract.OutcomeNotStarted) && result["change"] != string(contract.ChangeNone)
		if kept || err != nil {
			continue // changed, as is said, or an account
		}
		ours, _, err := s.requests(targets[0])
		if err != nil {
			return err
		}
		for _, r := range ours {
			if !slices.Contains([]string{"get", "list", "watch"}, r.Verb) && !r.DryRun && r.Code < 300 && !strings.Contains(r.Resource, "reviews.") {
				return fmt.Errorf("%s is reported as %v, change %v, but it got a %s of %s", target(result), result["outcome"], result["change"], r.Verb, r.Resource)
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
