package main

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
)

// given is the request that an execution is to run: its input, or what that stands for.
type given struct {
	raw json.RawMessage
	// parsed is the request; of a rollback, what it says of how to do so.
	parsed request.Parsed
	// rollback is set where the request is one.
	rollback *request.Rollback
	// refusal makes the error of what is wrong with it.
	refusal func(field.ErrorList) error
}

// refuse returns the error of what is wrong with the request, if anything is.
func (g given) refuse(problems field.ErrorList) error {
	if len(problems) == 0 {
		return nil
	}
	return g.refusal(problems)
}

// read reads the request that the execution is to run, and checks what can be without
// what lies in the run bucket.
func (p Planner) read(ctx context.Context, in contract.PlanInput) (given, error) {
	g := given{raw: in.Request, refusal: request.Refusal}
	retry, problems := request.RetryOf(in.Request, in.Execution)
	if retry != nil && len(problems) == 0 {
		return p.readRetry(ctx, in, retry)
	}
	if len(problems) == 0 {
		g.rollback, problems = request.RollbackOf(in.Request, in.Execution)
	}
	switch {
	case len(problems) > 0:
	case g.rollback != nil:
		g.parsed = g.rollback.Parsed
	default:
		g.parsed, problems = request.Parse(g.raw, p.scope, nil)
	}
	return p.checked(g, problems)
}

// readRetry reads the request that a retry stands for.
func (p Planner) readRetry(ctx context.Context, in contract.PlanInput, retry *request.Retry) (given, error) {
	raw, err := p.retried(ctx, in, retry)
	if err != nil {
		return given{}, err
	}
	g := given{raw: raw, refusal: retry.Refusal}
	var problems field.ErrorList
	g.parsed, problems = retry.Parse(raw, p.scope)
	return p.checked(g, problems)
}

// checked refuses a request that has problems, or that the configuration does not allow.
func (p Planner) checked(g given, problems field.ErrorList) (given, error) {
	if len(problems) == 0 {
		problems = append(g.parsed.Refuse(p.allowed), g.parsed.RefuseOperations(p.operations, nil)...)
	}
	if err := g.refuse(problems); err != nil {
		return given{}, err
	}
	return g, nil
}
