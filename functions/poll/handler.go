// Command poll is a target's waiting step: it watches the resource for one
// window and says whether it is Ready, still progressing, or has failed.
package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/readiness"
)

// Poller polls resources.
type Poller struct {
	auth *eksauth.Authenticator
	// window is how long one call watches.
	window time.Duration
	now    func() time.Time
	// random returns a number in [0, 1), for the jitter of the pauses.
	random func() float64
}

// Handle watches the resource until it is Ready or has failed, or the window or
// the target's time is over. Ready and progressing are results; the rest are
// errors: [fault.ResourceFailed], [fault.ReadyTimeout], what the operation's
// judgement ends the wait with, or as [kube.Fault] says.
func (p Poller) Handle(ctx context.Context, in contract.PollInput) (contract.PollOutput, error) {
	op, err := operation.Of(in.Run.Operation)
	if err != nil {
		return contract.PollOutput{}, err
	}
	token, err := p.auth.Token(ctx, in.Run, in.Target)
	if err != nil {
		return contract.PollOutput{}, err
	}
	client, err := kube.Connect(in.Target, in.Cluster, token.Value)
	if err != nil {
		return contract.PollOutput{}, err
	}
	var verdict readiness.Verdict
	var ended error
	see := func(object *unstructured.Unstructured) (done bool) {
		verdict, ended = op.Judge(object, in)
		return ended != nil || verdict.State != readiness.Progressing
	}
	// The target's last window ends with its time.
	window := min(p.window, in.Deadline.Sub(p.now()))
	if err := client.Follow(ctx, window, in.Run.Resource, in.Mapping, see); err != nil {
		return contract.PollOutput{}, p.outOfTime(in, err)
	}
	if ended != nil {
		return contract.PollOutput{}, ended
	}
	verdict.Message = fault.Shorten(verdict.Message, maxMessage)
	return p.conclude(ctx, op, in, verdict)
}

// maxMessage bounds, in bytes, what is repeated of a condition's message, which
// may be 32 KiB.
const maxMessage = 600

// outOfTime turns an error that a retry might help into the end of the target's
// time, once that is over.
func (p Poller) outOfTime(in contract.PollInput, err error) error {
	if fault.Catalogue()[fault.NameOf(err)].Retry == fault.Never || p.now().Before(in.Deadline) {
		return err
	}
	return fault.Wrap(err, fault.ReadyTimeout, "%s: %s was not Ready within %d seconds, and cannot be seen now: %v",
		in.Target, in.Run.Resource, in.Run.Ready.TimeoutSeconds, err)
}

func (p Poller) conclude(ctx context.Context, op operation.Operation, in contract.PollInput, verdict readiness.Verdict) (contract.PollOutput, error) {
	resource, log := in.Run.Resource, edge.Logger(ctx)
	remaining := in.Deadline.Sub(p.now())
	switch {
	case verdict.State == readiness.Failed:
		return contract.PollOutput{}, fault.New(fault.ResourceFailed, "%s: %s will not become Ready: %s", in.Target, resource, verdict.Message)
	case verdict.State == readiness.Ready:
		log.Info("ready", "generation", in.Applied.Generation, "unproven", verdict.Observed == nil)
		return contract.PollOutput{Status: string(readiness.Ready), Message: verdict.Message, Window: in.Window + 1, Result: result(op, in, verdict)}, nil
	case remaining <= 0:
		return contract.PollOutput{}, fault.New(fault.ReadyTimeout, "%s: %s was not Ready within %d seconds: %s",
			in.Target, resource, in.Run.Ready.TimeoutSeconds, verdict.Message)
	}
	log.Info("progressing", "message", verdict.Message, "window", in.Window)
	return contract.PollOutput{
		Status:       string(readiness.Progressing),
		Message:      verdict.Message,
		Window:       in.Window + 1,
		PauseSeconds: p.pause(in.Window, remaining),
	}, nil
}

func result(op operation.Operation, in contract.PollInput, verdict readiness.Verdict) *contract.Result {
	message := verdict.Message
	if verdict.Observed == nil {
		message += fmt.Sprintf(" (the operator does not say for which generation; %d was applied)", in.Applied.Generation)
	}
	return &contract.Result{Target: in.Target, Outcome: op.Outcome(in.Applied, true), Change: in.Applied.Change,
		Generation: in.Applied.Generation, Message: message}
}
