package main

import (
	"context"
	"io"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/request"
)

// readInputs reads into a request what it names in the run bucket.
func (p Planner) readInputs(ctx context.Context, g *given) error {
	parsed, problems := &g.parsed, field.ErrorList(nil)
	for _, input := range []struct {
		from *contract.InputObject
		name string
		read func(body []byte) field.ErrorList
	}{
		{parsed.ResourceFrom, "resourceFrom", parsed.ReadResources},
		{parsed.TargetsFrom, "targetsFrom", func(body []byte) field.ErrorList { return parsed.ReadTargets(body, p.scope) }},
	} {
		if input.from == nil {
			continue
		}
		there, err := p.store.Exists(ctx, input.from.Key)
		if err != nil {
			return err
		}
		if !there {
			problems = append(problems, field.NotFound(field.NewPath(input.name, "key"), input.from.Key))
			continue
		}
		body, err := p.input(ctx, input.from.Key)
		if err != nil {
			return err
		}
		problems = append(problems, input.read(body)...)
	}
	if len(problems) == 0 {
		problems = parsed.Refuse(p.allowed)
	}
	return g.refuse(problems)
}

// input reads an object: no more of it than is too much.
func (p Planner) input(ctx context.Context, key string) (body []byte, err error) {
	object, err := p.store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { _ = object.Close() }() // what was read of it counts
	return io.ReadAll(io.LimitReader(object, request.MaxInputBytes+1))
}
