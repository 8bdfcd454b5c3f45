// Command apply is a target's second step: it does the operation on the cluster,
// once, and takes the first look at what became of it.
package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/journal"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
	"github.com/crossapply/crossapply/shared/readiness"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where apply reads the resource from, and where the journal lies;
// [runs.Bucket] is one.
type Store interface {
	journal.Store
	Get(ctx context.Context, key string) ([]byte, error)
}

// Auth mints the tokens for clusters; *eksauth.Authenticator is one.
type Auth interface {
	Token(ctx context.Context, run contract.Run, target contract.Target) (eksauth.Token, error)
	Forget(run contract.Run, target contract.Target)
}

// Applier does the operation on targets.
type Applier struct {
	auth     Auth
	clusters *kube.Clusters
	store    func(bucket string) Store
	now      func() time.Time

	rules readiness.Cache
	// last is the resource of the execution that this sandbox worked for last:
	// a sandbox serves one invocation at a time, and many targets of one
	// execution in turn.
	last struct {
		key  string
		body []byte
	}
}

// Handle does the operation on the target's cluster, with what is there in the
// journal first. It may safely be called again: an action can be repeated, and the
// journal keeps what was there before the first attempt.
func (a *Applier) Handle(ctx context.Context, in contract.ApplyInput) (contract.ApplyOutput, error) {
	op, err := operation.Of(in.Run.Operation)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	rule, err := a.rules.Of(in.Run)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	done, err := a.act(ctx, op, in)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	edge.Logger(ctx).Info(string(op.Name), "change", done.Applied.Change, "uid", done.Applied.UID, "generation", done.Applied.Generation)
	now := a.now()
	out := contract.ApplyOutput{
		Applied:  done.Applied,
		Deadline: now.Add(time.Duration(in.Run.Ready.TimeoutSeconds) * time.Second).UTC(),
	}
	if !op.Waits(in.Run) {
		out.Result = op.Accepted(in.Item, done.Applied, rule)
		return out, nil
	}
	return a.look(op, in, rule, done, out)
}

// look takes the first look: what is Ready already needs no poll.
func (a *Applier) look(op operation.Operation, in contract.ApplyInput, rule health.Rule, done operation.Done, out contract.ApplyOutput) (contract.ApplyOutput, error) {
	judge := proof.For(in.Item, in.Mapping, done.Applied, rule)
	now := a.now().UTC()
	seen, err := op.Look(judge, contract.Seen{}, done.Object, now)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	out.Seen = seen
	if decision := judge.Decide(seen, now); decision.State == health.Ready {
		out.Result = op.Proven(in.Item, done.Applied, rule, decision)
	}
	return out, nil
}

// act does the operation between the journal's two notes.
func (a *Applier) act(ctx context.Context, op operation.Operation, in contract.ApplyInput) (operation.Done, error) {
	object, err := a.resource(ctx, in.Run)
	if err != nil {
		return operation.Done{}, err
	}
	token, err := a.auth.Token(ctx, in.Run, in.Target)
	if err != nil {
		return operation.Done{}, err
	}
	client, err := a.clusters.Client(in.Target, in.Cluster, token.Value)
	if err != nil {
		return operation.Done{}, err
	}
	attempt := &attempt{store: a.store(in.Run.Bucket), run: in.Run, target: in.Target}
	var done operation.Done
	err = client.Do(ctx, op, in.Run.Resource, in.Mapping, func(ctx context.Context, api dynamic.ResourceInterface) (err error) {
		done, err = op.Act(ctx, operation.Action{
			Target: in.Target, Ref: in.Run.Resource, Resource: api, Object: object, Settings: in.Run.Apply, Note: attempt.begin,
		})
		return err
	})
	switch {
	case err != nil:
		if fault.NameOf(err) == fault.Unauthenticated {
			a.auth.Forget(in.Run, in.Target)
		}
		return operation.Done{}, attempt.refused(ctx, err)
	case in.Run.Apply.DryRun:
		return done, nil
	}
	return done, attempt.end(ctx, journal.After{Applied: done.Applied, OwnedFields: done.Owned})
}

// attempt is what one invocation writes into the journal about its target.
type attempt struct {
	store  Store
	run    contract.Run
	target contract.Target

	entry journal.Entry
	// begun says that the entry is written, and first that no invocation before this
	// one can have changed anything.
	begun, first bool
}

func (a *attempt) begin(ctx context.Context, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var now journal.Object
	if live != nil {
		now = live.Object
	}
	entry, first, err := journal.Begin(ctx, a.store, a.run, a.target, now)
	if err != nil {
		return nil, err
	}
	if !a.begun { // what this invocation repeats was refused: it changed nothing
		a.begun, a.first = true, first
	}
	a.entry = entry
	if entry.Before == nil {
		return nil, nil
	}
	return &unstructured.Unstructured{Object: entry.Before}, nil
}

func (a *attempt) end(ctx context.Context, after journal.After) error {
	a.entry.After = &after
	return journal.End(ctx, a.store, a.run, a.target, a.entry)
}

// refusals are errors after which the cluster has certainly changed nothing.
var refusals = []fault.Name{fault.Conflict, fault.Invalid, fault.Forbidden, fault.NotFound, fault.Unauthenticated, fault.WouldRemove}

// refused notes that nothing was changed, where that is certain, and returns the
// action's error. Where the note fails, whether the target was touched stays
// unknown: the action's error is the one that counts.
func (a *attempt) refused(ctx context.Context, err error) error {
	if a.begun && a.first && slices.Contains(refusals, fault.NameOf(err)) {
		if failed := a.end(ctx, journal.After{Applied: contract.Applied{Change: contract.ChangeNone}}); failed != nil {
			edge.Logger(ctx).Warn("the journal's second note", "error", failed)
		}
	}
	return err
}

func (a *Applier) resource(ctx context.Context, run contract.Run) (*unstructured.Unstructured, error) {
	key := run.Prefix + runs.Resource
	if a.last.key != key {
		body, err := a.store(run.Bucket).Get(ctx, key)
		if err != nil {
			return nil, err
		}
		a.last.key, a.last.body = key, body
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(a.last.body); err != nil {
		return nil, fmt.Errorf("read the resource of %s: %w", run.Name, err)
	}
	return object, nil
}
