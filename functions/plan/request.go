package main

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/manifest"
	"github.com/crossapply/crossapply/shared/request"
)

// given is the request that an execution is to run: its input, or what that stands for.
type given struct {
	raw    json.RawMessage
	parsed request.Parsed
	// refuse makes the error of what is wrong with it.
	refuse func(field.ErrorList) error
	// left says that its targets are those that are left of an earlier execution.
	left bool
	// rollback is set where the request is one; then there is nothing else.
	rollback *request.Rollback
}

// key is the request's idempotency key, if it has one.
func (g given) key() string {
	if g.rollback != nil {
		return g.rollback.IdempotencyKey
	}
	return g.parsed.IdempotencyKey
}

// read reads the request that the execution is to run.
func (p Planner) read(ctx context.Context, in contract.PlanInput) (given, error) {
	g := given{raw: in.Request, refuse: request.Refusal}
	retry, problems := request.RetryOf(in.Request, in.Execution)
	if len(problems) > 0 {
		return given{}, g.refuse(problems)
	}
	if g.rollback, problems = request.RollbackOf(in.Request, in.Execution); g.rollback != nil || len(problems) > 0 {
		return g, g.refuse(problems)
	}
	if retry != nil {
		var err error
		if g.raw, err = p.retried(ctx, retry); err != nil {
			return given{}, err
		}
		g.refuse, g.left = retry.Refusal, true
	}
	g.parsed, problems = request.Parse(g.raw, p.scope, nil)
	if len(problems) == 0 {
		problems = p.refuseNotAllowed(g.parsed)
	}
	if len(problems) > 0 {
		return given{}, g.refuse(problems)
	}
	return g, nil
}
