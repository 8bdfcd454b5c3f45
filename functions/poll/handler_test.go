package main

import (
	"strings"
	"testing"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/readiness"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func input(change contract.Change, remaining time.Duration) contract.PollInput {
	return contract.PollInput{
		Item: contract.Item{
			Run: contract.Run{Resource: contract.ResourceRef{Kind: "Topic", Namespace: "kafka", Name: "orders"},
				Ready: contract.ReadySettings{Condition: "Ready", TimeoutSeconds: 60}},
			Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"},
		},
		Applied:  contract.Applied{Change: change, UID: "u", Generation: 3},
		Deadline: noon.Add(remaining),
		Window:   1,
	}
}

func TestConclude(t *testing.T) {
	apply, err := operation.Of(operation.Apply)
	if err != nil {
		t.Fatal(err)
	}
	progressing := readiness.Verdict{State: readiness.Progressing, Message: "Ready=False (Creating)"}
	tests := []struct {
		name    string
		in      contract.PollInput
		verdict readiness.Verdict
		status  string
		outcome contract.Outcome
		err     fault.Name
		says    string
	}{
		{name: "ready", in: input(contract.Configured, time.Minute), verdict: readiness.Verdict{State: readiness.Ready, Message: "Ready=True"},
			status: "Ready", outcome: contract.OutcomeReady, says: "Ready=True"},
		{name: "ready and unchanged", in: input(contract.Unchanged, time.Minute), verdict: readiness.Verdict{State: readiness.Ready},
			status: "Ready", outcome: contract.OutcomeUnchanged},
		{name: "ready, just in time", in: input(contract.Created, -time.Second), verdict: readiness.Verdict{State: readiness.Ready},
			status: "Ready", outcome: contract.OutcomeReady},
		{name: "ready, without a generation", in: input(contract.Created, time.Minute), verdict: readiness.Verdict{State: readiness.Ready},
			status: "Ready", outcome: contract.OutcomeReady, says: "does not say for which generation; 3 was applied"},
		{name: "progressing", in: input(contract.Created, time.Minute), verdict: progressing, status: "Progressing"},
		{name: "out of time", in: input(contract.Created, 0), verdict: progressing,
			err: fault.ReadyTimeout, says: "not Ready within 60 seconds: Ready=False (Creating)"},
		{name: "failed", in: input(contract.Created, time.Minute), verdict: readiness.Verdict{State: readiness.Failed, Message: "Stalled=True"},
			err: fault.ResourceFailed, says: "Stalled=True"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := Poller{now: func() time.Time { return noon }, random: func() float64 { return 0 }}
			out, err := p.conclude(t.Context(), apply, test.in, test.verdict)
			if test.err != "" {
				if fault.NameOf(err) != test.err || !strings.HasPrefix(err.Error(), test.in.Target.String()+": ") || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %s: %v", fault.NameOf(err), err)
				}
				return
			}
			if err != nil || out.Status != test.status || out.Window != 2 {
				t.Fatalf("got %+v, %v", out, err)
			}
			if test.outcome == "" {
				if out.Result != nil || out.PauseSeconds != 4 {
					t.Errorf("got %+v", out)
				}
				return
			}
			if out.Result == nil || out.Result.Outcome != test.outcome || out.Result.Change != test.in.Applied.Change || !strings.Contains(out.Result.Message, test.says) {
				t.Errorf("got %+v", out.Result)
			}
		})
	}
}

// An outage at the end of the target's time is the end of its time.
func TestOutOfTime(t *testing.T) {
	p := Poller{now: func() time.Time { return noon }}
	outage := fault.New(fault.ClusterUnreachable, "connection refused")
	tests := []struct {
		remaining time.Duration
		err       error
		want      fault.Name
	}{
		{time.Minute, outage, fault.ClusterUnreachable},
		{0, outage, fault.ReadyTimeout},
		{0, fault.New(fault.Invalid, "no"), fault.Invalid},
	}
	for _, test := range tests {
		if got := p.outOfTime(input(contract.Created, test.remaining), test.err); fault.NameOf(got) != test.want || !strings.Contains(got.Error(), test.err.Error()) {
			t.Errorf("%v with %s left: got %v", test.err, test.remaining, got)
		}
	}
}
