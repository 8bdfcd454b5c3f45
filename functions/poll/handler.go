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
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
	"github.com/crossapply/crossapply/shared/readiness"
)

// Auth mints the tokens for clusters; *eksauth.Authenticator is one.
type Auth interface {
	Token(ctx context.Context, run contract.Run, target contract.Target) (eksauth.Token, error)
	Forget(run contract.Run, target contract.Target)
}

// Poller polls resources.
type Poller struct {
	auth     Auth
	clusters *kube.Clusters
	// journal is read only where somebody else has changed applied fields.
	journal func(bucket string) journal.Reader
	// window is how long one call watches.
	window time.Duration
	now    func() time.Time
	// random returns a number in [0, 1), for the jitter of the pauses.
	random func() float64

	rules readiness.Cache
}

// Handle watches the resource until it is Ready or has failed, or the window or
// the target's time is over. Ready and progressing are results; the rest are
// errors: [fault.ResourceFailed], [fault.Overwritten], [fault.ReadyTimeout], what
// the operation's look ends the wait with, or as [kube.Fault] says.
func (p *Poller) Handle(ctx context.Context, in contract.PollInput) (contract.PollOutput, error) {
	op, err := operation.Of(in.Phase.Operation)
	if err != nil {
		return contract.PollOutput{}, err
	}
	index := operation.Order(op, len(in.Run.Resources), in.Step)
	ref := in.Run.Resources[index]
	rule, err := p.rules.Of(in.Run, ref)
	if err != nil {
		return contract.PollOutput{}, err
	}
	w := wait{poller: p, in: in, op: op, index: index, ref: ref, judge: proof.For(in.Item, ref, in.Mapping, in.Applied, rule), seen: in.Seen}
	w.judge.Taken = func(object *unstructured.Unstructured) (string, error) { return w.taken(ctx, object) }
	decision, err := w.watch(ctx)
	if err != nil {
		if fault.NameOf(err) == fault.Unauthenticated {
			p.auth.Forget(in.Run, in.Target)
		}
		return contract.PollOutput{}, w.outOfTime(err)
	}
	return w.conclude(ctx, decision)
}

// wait is one window of a target's wait.
type wait struct {
	poller *Poller
	in     contract.PollInput
	op     operation.Operation
	index  int
	ref    contract.ResourceRef
	judge  proof.Judge
	seen   contract.Seen
}

// taken says who has taken which of the applied fields; the journal has them.
func (w *wait) taken(ctx context.Context, object *unstructured.Unstructured) (string, error) {
	in := w.in
	entry, err := journal.Read(ctx, w.poller.journal(in.Run.Bucket), journal.Key(in.Run, in.Phase, in.Target, w.index))
	if err != nil {
		return "", fmt.Errorf("%s: find out who changed %s: %w", in.Target, w.ref, err)
	}
	if entry.After == nil {
		return "", fmt.Errorf("%s: the journal does not say what was applied", in.Target)
	}
	return fields.Taken(entry.After.OwnedFields, object, in.Run.Apply.FieldManager)
}

// outOfTime turns an error that is no verdict into the end of the target's time,
// once that is over.
func (w *wait) outOfTime(err error) error {
	if fault.Catalogue()[fault.NameOf(err)].Verdict || w.poller.now().Before(w.in.Deadline) {
		return err
	}
	return fault.Wrap(err, fault.ReadyTimeout, "%s, and cannot be seen now: %v", w.notInTime(), err)
}

func (w *wait) notInTime() string {
	return fmt.Sprintf("%s: %s was not %s within %d seconds", w.in.Target, w.ref, w.op.Until, w.in.Run.Ready.TimeoutSeconds)
}

// watch looks at each change of the object until there is a verdict, or the window
// is over. What becomes a verdict by time alone is confirmed by a look: silence
// may also come from a connection that is cut. So is the last thing seen at the
// end of the target's time.
func (w *wait) watch(ctx context.Context) (proof.Decision, error) {
	token, err := w.poller.auth.Token(ctx, w.in.Run, w.in.Target)
	if err != nil {
		return proof.Decision{}, err
	}
	client, err := w.poller.clusters.Client(w.in.Target, w.in.Cluster, token.Value)
	if err != nil {
		return proof.Decision{}, err
	}
	watch := client.Watch(w.ref, w.in.Mapping, w.seen.ResourceVersion)
	defer watch.Stop()
	end := w.poller.now().Add(w.poller.window)
	if w.in.Deadline.Before(end) {
		end = w.in.Deadline
	}
	looked := false // since the last change
	for {
		now := w.poller.now()
		decision := w.op.Decide(w.judge, w.seen, now)
		final := decision.State != health.Progressing
		over := !now.Before(end)
		if final && looked || over && (looked || now.Before(w.in.Deadline)) {
			return decision, nil
		}
		var object *unstructured.Unstructured
		changed := final || over
		if changed {
			object, err = watch.Look(ctx)
			looked = true
		} else {
			object, changed, err = watch.Next(ctx, earlier(end, decision.At).Sub(now))
			looked = changed
		}
		if err != nil {
			return proof.Decision{}, err
		}
		if changed {
			if w.seen, err = w.op.Look(w.judge, w.seen, object, w.poller.now().UTC()); err != nil {
				return proof.Decision{}, err
			}
		}
		w.seen.ResourceVersion = watch.Version()
	}
}

// earlier returns the earlier of two moments; b may be zero, for never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

func (w *wait) conclude(ctx context.Context, decision proof.Decision) (contract.PollOutput, error) {
	in, log := w.in, edge.Logger(ctx)
	remaining := in.Deadline.Sub(w.poller.now())
	failed := decision.State == health.Failed ||
		remaining <= 0 && w.seen.State == string(health.Failed) && !w.seen.Leftover
	switch {
	case decision.State == health.Ready && w.seen.Overwritten != "":
		return contract.PollOutput{}, fault.New(fault.Overwritten, "%s: %s is Ready, but not as it was applied: somebody else changed %s",
			in.Target, w.ref, w.seen.Overwritten)
	case decision.State == health.Ready:
		log.Info(w.op.Until, "generation", in.Applied.Generation, "proof", decision.Proof, "rule", w.judge.Rule.String())
		one := w.op.Proven(in.Item, in.Applied, w.seen, w.judge.Rule, decision)
		return contract.PollOutput{Status: string(health.Ready), Seen: w.seen, Window: in.Window + 1,
			Result: operation.Together(in.Run, in.Result, w.index, one), More: in.Step+1 < len(in.Run.Resources)}, nil
	case failed:
		return contract.PollOutput{}, fault.New(fault.ResourceFailed, "%s: %s will not become Ready, by %s: %s",
			in.Target, w.ref, w.judge.Rule, w.seen.Message)
	case remaining <= 0:
		return contract.PollOutput{}, fault.New(fault.ReadyTimeout, "%s%s: %s", w.notInTime(), w.judgedBy(), decision.Message)
	}
	log.Info("progressing", "message", decision.Message, "window", in.Window)
	pause := w.poller.pause(in.Window, remaining)
	if !decision.At.IsZero() {
		// What stands becomes a verdict soon: no longer than until then.
		pause = min(pause, w.poller.pause(in.Window, decision.At.Sub(w.poller.now())))
	}
	return contract.PollOutput{Status: string(health.Progressing), Seen: w.seen, Window: in.Window + 1, PauseSeconds: max(pause, 0)}, nil
}

// judgedBy names the rule, where one judges: whether an object is gone needs none.
func (w *wait) judgedBy() string {
	if w.op.ByName {
		return ""
	}
	return fmt.Sprintf(", by %s", w.judge.Rule)
}
