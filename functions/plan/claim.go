package main

import (
	"context"
	"fmt"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// claim says which execution has an idempotency key.
type claim struct {
	// Execution is the ARN of the execution that came first.
	Execution string `json:"execution"`
}

// claim returns the execution that has the key: this one where none had it
// before. It is a conditional write, so of executions at the same time one wins;
// and one that is called again, after its answer was lost, finds its own claim.
func (p Planner) claim(ctx context.Context, key, execution string) (owner string, err error) {
	at := runs.ClaimKey(key)
	err = p.store.PutJSONOnce(ctx, at, claim{Execution: execution})
	if err == nil {
		return execution, nil
	}
	if fault.NameOf(err) != fault.AlreadyExists {
		return "", fmt.Errorf("claim the idempotency key: %w", err)
	}
	var taken claim
	if err := p.store.GetJSON(ctx, at, &taken); err != nil {
		return "", fmt.Errorf("find out who has the idempotency key: %w", err)
	}
	return taken.Execution, nil
}

// duplicate is the answer of an execution whose key belongs to another.
func duplicate(run contract.Run, owner string) *contract.Answer {
	return &contract.Answer{
		Execution:   run.Execution,
		Operation:   run.Operation,
		Resource:    run.Resource,
		DryRun:      run.Apply.DryRun,
		Status:      contract.StatusDuplicate,
		DuplicateOf: owner,
		Message:     "nothing was done: the request's idempotencyKey belongs to " + owner,
		Counts:      map[contract.Outcome]int{},
		Failed:      []contract.Result{},
		Slowest:     []contract.Result{},
	}
}
