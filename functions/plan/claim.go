package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
)

// claim says which execution has an idempotency key, and for what.
type claim struct {
	// Execution is the ARN of the execution that came first.
	Execution string `json:"execution"`
	// Request is a hash of what it was asked to do.
	Request string `json:"request"`
}

// claim returns the execution that has the plan's key: this one where none had
// it before. It is a conditional write, so of executions at the same time one
// wins; and one that is called again, after its answer was lost, finds its own
// claim. A key that stands for another request is refused with
// [fault.InvalidRequest]: to end it well would hide that nothing was done.
func (p Planner) claim(ctx context.Context, plan plan, execution string) (owner string, err error) {
	at, mine := runs.ClaimKey(plan.idempotencyKey), claim{Execution: execution, Request: plan.hash()}
	err = p.store.PutJSONOnce(ctx, at, mine)
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
	if taken.Request != mine.Request {
		return "", refuse(field.ErrorList{field.Invalid(field.NewPath("idempotencyKey"), field.OmitValueType{},
			"stands for another request already, that of "+taken.Execution)})
	}
	return taken.Execution, nil
}

// hash identifies what a plan is going to do.
func (p plan) hash() string {
	// Maps are encoded in the order of their keys, so equal plans hash equally.
	body, err := json.Marshal([]any{p.operation, p.resource, p.targets, p.apply, p.ready, p.maxConcurrency, p.maxFailures})
	if err != nil {
		panic(err) // it came out of JSON
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
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
