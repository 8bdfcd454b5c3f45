// Command apply is a target's second step: it does the operation on one of the
// resources, once, and takes the first look at what became of it.
package main

import (
	"context"
	"fmt"
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
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/proof"
	"github.com/crossapply/crossapply/shared/readiness"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where apply reads the resources from, where the journal lies, and where it
// writes the objects that get finds; [runs.Bucket] is one.
type Store interface {
	journal.Store
	Exists(ctx context.Context, key string) (bool, error)
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
	// servedPause is the pause between two looks for a kind that another resource has
	// just brought.
	servedPause time.Duration

	rules readiness.Cache
	// last are the resources of the execution that this sandbox worked for last:
	// a sandbox serves one invocation at a time, and many targets of one
	// execution in turn.
	last struct {
		key    string
		bundle manifest.Bundle
	}
}

// Handle does the operation on one of the target's resources, with what is there in the
// journal first, and takes the first look at what became of it. It may safely be called
// again: an action can be repeated, and the journal keeps what was there before the
// first attempt.
func (a *Applier) Handle(ctx context.Context, in contract.ApplyInput) (contract.ApplyOutput, error) {
	w, err := a.begin(ctx, in)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	if w.untouched {
		result := contract.Result{Target: in.Target, Outcome: contract.OutcomeUnchanged, Change: contract.ChangeNone,
			Message: fmt.Sprintf("%s was not changed, so there is nothing to bring back", w.ref)}
		return w.end(contract.ApplyOutput{}, result), nil
	}
	done, err := w.act(ctx)
	if err != nil {
		if fault.NameOf(err) == fault.Unauthenticated {
			a.auth.Forget(in.Run, in.Target)
		}
		return contract.ApplyOutput{}, err
	}
	edge.Logger(ctx).Info(string(w.op.Name), "change", done.Applied.Change, "uid", done.Applied.UID, "generation", done.Applied.Generation)
	out := contract.ApplyOutput{
		Mapping: w.mapping, Applied: done.Applied,
		Deadline: a.now().Add(time.Duration(in.Run.Ready.TimeoutSeconds) * time.Second).UTC(),
	}
	if w.op.Waits(in.Run) {
		return w.look(done, out)
	}
	result := w.op.Accepted(in.Item, done, w.rule)
	if result.ObjectKey, err = w.keep(ctx, done.Found); err != nil {
		return contract.ApplyOutput{}, err
	}
	return w.end(out, result), nil
}

// work is what one invocation does.
type work struct {
	applier *Applier
	in      contract.ApplyInput
	op      operation.Operation
	store   Store
	rule    health.Rule
	// index and ref are those of the resource; ref is the zero value where there is none.
	index   int
	ref     contract.ResourceRef
	mapping contract.Mapping
	// earlier is the change that a rollback takes back; untouched says that it has none
	// to take back.
	earlier   operation.Earlier
	untouched bool
}

// begin finds out what is to be done.
func (a *Applier) begin(ctx context.Context, in contract.ApplyInput) (*work, error) {
	op, err := operation.Of(in.Phase.Operation)
	if err != nil {
		return nil, err
	}
	w := &work{applier: a, in: in, op: op, store: a.store(in.Run.Bucket)}
	if len(in.Run.Resources) == 0 {
		return w, nil
	}
	w.index = operation.Order(op, len(in.Run.Resources), in.Step)
	if op.Name == operation.Rollback {
		if err := w.findEarlier(ctx); err != nil {
			return nil, err
		}
	}
	w.ref = in.Run.Resources[w.index]
	w.rule, err = a.rules.Of(in.Run, w.ref)
	return w, err
}

// act does the operation on the cluster.
func (w *work) act(ctx context.Context) (operation.Done, error) {
	token, err := w.applier.auth.Token(ctx, w.in.Run, w.in.Target)
	if err != nil {
		return operation.Done{}, err
	}
	client, err := w.applier.clusters.Client(w.in.Target, w.in.Cluster, token.Value)
	if err != nil {
		return operation.Done{}, err
	}
	action := operation.Action{Item: w.in.Item, Index: w.index, Ref: w.ref, Rule: w.rule, Earlier: w.earlier, WhoAmI: client.WhoAmI}
	if len(w.in.Run.Resources) == 0 {
		return w.op.Act(ctx, action)
	}
	served, err := w.find(ctx, client)
	switch {
	case err != nil:
		return operation.Done{}, err
	case !served && w.takesAway():
		return operation.Done{Applied: contract.Applied{Change: contract.Unchanged}}, nil
	case !served:
		return w.op.Later(action), nil
	}
	if action.Object, err = w.object(ctx); err != nil {
		return operation.Done{}, err
	}
	return w.actOn(ctx, client, action)
}

// actOn does the operation on the resource, between the journal's two notes.
func (w *work) actOn(ctx context.Context, client *kube.Client, action operation.Action) (done operation.Done, err error) {
	attempt := &attempt{store: w.store, key: journal.Key(w.in.Run, w.in.Phase, w.in.Target, w.index), operation: w.op.Name, target: w.in.Target}
	action.Note, action.HasStatus = attempt.begin, w.mapping.Status
	err = client.Do(ctx, string(w.op.Name), w.ref, w.mapping, w.op.VerbsOf(w.in.Run), func(ctx context.Context, api dynamic.ResourceInterface) (err error) {
		action.Resource = api
		done, err = w.op.Act(ctx, action)
		return err
	})
	switch {
	case w.op.Tries(w.in.Run) && action.NamespaceComes(err):
		return w.op.Later(action), nil
	case err != nil:
		return operation.Done{}, attempt.refused(ctx, done, err)
	}
	return done, attempt.end(ctx, done)
}

// maxLooks is how often a kind is looked for that another resource has just brought: of
// several API servers, one may serve it a few seconds later than the other.
const maxLooks = 10

// find finds where the cluster serves the resource's kind: resolve has said so, but
// for a kind that was not served then. It says whether the kind is served, which neither
// what only tries nor what takes away insists on.
func (w *work) find(ctx context.Context, client *kube.Client) (served bool, err error) {
	if known := w.in.Mappings[w.index]; known != nil {
		w.mapping = *known
		return true, nil
	}
	for look := 1; ; look++ {
		w.mapping, err = client.Discover(ctx, w.ref)
		switch {
		case err == nil:
			return true, client.Review(ctx, w.ref, w.mapping, w.op.VerbsOf(w.in.Run))
		case fault.NameOf(err) != fault.KindNotServed:
			return false, err
		case w.op.Tries(w.in.Run) || w.takesAway():
			return false, nil
		case look == maxLooks:
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(w.applier.servedPause):
		}
	}
}

// takesAway says that what is to be done is to take away what was created: with its kind
// it is gone.
func (w *work) takesAway() bool {
	return w.op.Name == operation.Rollback && w.earlier.Before == nil
}

// look takes the first look: what is Ready already needs no poll.
func (w *work) look(done operation.Done, out contract.ApplyOutput) (contract.ApplyOutput, error) {
	judge := proof.For(w.in.Item, w.ref, w.mapping, done.Applied, w.rule)
	now := w.applier.now().UTC()
	seen, err := w.op.Look(judge, contract.Seen{}, done.Object, now)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	out.Seen = seen
	if decision := w.op.Decide(judge, seen, now); decision.State == health.Ready {
		return w.end(out, w.op.Proven(w.in.Item, done.Applied, seen, w.rule, decision)), nil
	}
	return out, nil
}

// keep writes an object that get found beside the report.
func (w *work) keep(ctx context.Context, found *unstructured.Unstructured) (key string, err error) {
	if found == nil {
		return "", nil
	}
	key = runs.ObjectKey(w.in.Run.ReportKey, w.in.Target.String(), w.index)
	return key, w.store.PutJSON(ctx, key, found.Object)
}

// end adds what became of the resource to what became of those before.
func (w *work) end(out contract.ApplyOutput, one contract.Result) contract.ApplyOutput {
	out.Result = operation.Together(w.in.Run, w.in.Result, w.index, one)
	out.More = w.in.Step+1 < len(w.in.Run.Resources)
	return out
}

// object returns the object to act with, nil where the request only names it.
func (w *work) object(ctx context.Context) (*unstructured.Unstructured, error) {
	if w.op.Internal {
		return nil, nil // what there was before is all that matters
	}
	bundle, err := w.applier.resources(ctx, w.store, w.in.Run)
	if err != nil {
		return nil, err
	}
	object, err := bundle.Effective(w.index, w.in.Overrides)
	if err != nil {
		return nil, fmt.Errorf("the resources of %s: %w", w.in.Run.Name, err)
	}
	return objectOf(object), nil
}

func (a *Applier) resources(ctx context.Context, store Store, run contract.Run) (manifest.Bundle, error) {
	key := run.Prefix + runs.Resources
	if a.last.key == key {
		return a.last.bundle, nil
	}
	var bundle manifest.Bundle
	if err := store.GetJSON(ctx, key, &bundle); err != nil {
		return manifest.Bundle{}, err
	}
	a.last.key, a.last.bundle = key, bundle
	return bundle, nil
}
