// Command apply is a target's second step: it does the operation on the cluster,
// once.
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
	"github.com/crossapply/crossapply/shared/kube"
	"github.com/crossapply/crossapply/shared/operation"
	"github.com/crossapply/crossapply/shared/runs"
)

// Store is where apply reads the resource from; [runs.Bucket] is one.
type Store interface {
	Get(ctx context.Context, key string) ([]byte, error)
}

// Applier does the operation on targets.
type Applier struct {
	auth     *eksauth.Authenticator
	clusters *kube.Clusters
	store    func(bucket string) Store
	now      func() time.Time

	// last is the resource of the execution that this sandbox worked for last:
	// a sandbox serves one invocation at a time, and many targets of one
	// execution in turn.
	last struct {
		key  string
		body []byte
	}
}

// Handle does the operation on the target's cluster. It may safely be called
// again: an action can be repeated.
func (a *Applier) Handle(ctx context.Context, in contract.ApplyInput) (contract.ApplyOutput, error) {
	op, err := operation.Of(in.Run.Operation)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	object, err := a.resource(ctx, in.Run)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	token, err := a.auth.Token(ctx, in.Run, in.Target)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	client, err := a.clusters.Client(in.Target, in.Cluster, token.Value)
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	var applied contract.Applied
	err = client.Do(ctx, op, in.Run.Resource, in.Mapping, func(ctx context.Context, api dynamic.ResourceInterface) (err error) {
		applied, err = op.Act(ctx, api, object, in.Run.Apply)
		return err
	})
	if err != nil {
		return contract.ApplyOutput{}, err
	}
	edge.Logger(ctx).Info(string(op.Name), "change", applied.Change, "uid", applied.UID, "generation", applied.Generation)
	out := contract.ApplyOutput{
		Applied:  applied,
		Deadline: a.now().Add(time.Duration(in.Run.Ready.TimeoutSeconds) * time.Second).UTC(),
	}
	if !op.Waits(in.Run) {
		out.Result = &contract.Result{Target: in.Target, Outcome: op.Outcome(applied, false), Change: applied.Change}
		if in.Run.Apply.DryRun {
			out.Result.Message = "dry run: the cluster would accept the resource, and kept nothing"
		}
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
