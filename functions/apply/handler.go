// Command apply is a target's second step: it applies the resource to the
// cluster, once.
package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/edge"
	"github.com/crossapply/crossapply/shared/eksauth"
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where apply reads the resource from; [runs.Bucket] is one.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
}

// Applier applies the resource.
type Applier struct {
	auth  *eksauth.Authenticator
	store func(bucket string) Store
	now   func() time.Time

	// last is the resource of the execution that this sandbox worked for last:
	// a sandbox serves one invocation at a time, and many targets of one
	// execution in turn.
	last struct {
		key  string
		body []byte
	}
}

// Handle applies the resource to the target's cluster. It may safely be called
// again: an apply is idempotent.
func (a *Applier) Handle(ctx context.Context, in contract.ApplyInput) (contract.ApplyOutput, error) {
	object, err := a.resource(ctx, in.Run)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	token, err := a.auth.Token(ctx, in.Run, in.Target)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	client, err := kube.Connect(in.Target, in.Cluster, token.Value)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	applied, err := client.Apply(ctx, object, in.Mapping, in.Run.Apply)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	edge.Logger(ctx).Info("applied", "change", applied.Change, "uid", applied.UID, "generation", applied.Generation)
	out := contract.ApplyOutput{
		Applied:  applied,
		Deadline: a.now().Add(time.Duration(in.Run.Ready.TimeoutSeconds) * time.Second).UTC(),
	}
	if in.Run.Apply.DryRun {
		out.Result = dryRunResult(in.Target, applied)
	}
	return out, nil
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

func dryRunResult(target contract.Target, applied contract.Applied) *contract.Result {
	outcome := contract.OutcomeApplied
	if applied.Change == contract.Unchanged {
		outcome = contract.OutcomeUnchanged
	}
	return &contract.Result{Target: target, Outcome: outcome, Change: applied.Change,
		Message: "dry run: the cluster would take the resource, and kept nothing"}
}
