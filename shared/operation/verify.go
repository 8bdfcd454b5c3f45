package operation

import (
	"cmp"
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/proof"
)

// verify looks once at an object after its bake time.
func verify() Operation {
	return Operation{
		Name:     Verify,
		Does:     "Looks once at a resource after its bake time: whether it is still Ready, and as it was.",
		Internal: true,
		Reads:    true,
		ByName:   true,
		Verbs:    []string{"get"},
		Outcomes: []contract.Outcome{contract.OutcomeReady},
		Act:      lookAgain,
		Waits:    never,
		Look:     proof.Judge.Look,
		Decide:   proof.Judge.Decide,
		Outcome:  func(contract.Run, contract.Applied, bool) contract.Outcome { return contract.OutcomeReady },
	}
}

func lookAgain(ctx context.Context, a Action) (Done, error) {
	if a.Index >= len(a.Stood) {
		return Done{}, fmt.Errorf("%s: it is not known how %s stood", a.Target, a.Ref)
	}
	live, err := a.live(ctx)
	if err != nil {
		return Done{}, err
	}
	what, err := a.regressed(a.Stood[a.Index], live)
	if err != nil {
		return Done{}, err
	}
	if what != "" {
		return Done{}, fault.New(fault.Regressed, "%s: %s was Ready, but after the bake time %s", a.Target, a.Ref, what)
	}
	return Done{
		Applied: contract.Applied{Change: contract.ChangeNone, UID: string(live.GetUID()), Generation: live.GetGeneration()},
		Object:  live, Message: fmt.Sprintf("%s is as it was before the bake time, and Ready by %s", a.Ref, a.Rule),
	}, nil
}

// regressed says what has become of an object that stood so; empty where it still does.
func (a Action) regressed(stood contract.Stood, live *unstructured.Unstructured) (string, error) {
	switch {
	case live == nil:
		return "it is gone", nil
	case string(live.GetUID()) != stood.UID:
		return "another object has taken its place", nil
	}
	now := proof.Stood(live, a.Run.Ready)
	switch {
	case now.Generation != stood.Generation:
		return fmt.Sprintf("somebody has changed it: its generation is %d, and was %d", now.Generation, stood.Generation), nil
	case now.Content != stood.Content:
		return "somebody has changed it", nil
	}
	verdict, err := a.Rule.Judge(live, stood.Generation, a.HasStatus)
	switch {
	case err != nil:
		return "", fault.Wrap(err, fault.RuleFailed, "%s: %s: %s cannot be evaluated: %s", a.Target, a.Ref, a.Rule, fault.Shorten(err.Error(), fault.MaxRepeated))
	case verdict.State != health.Ready:
		return fmt.Sprintf("it is %s, by %s: %s", verdict.State, a.Rule, fault.Shorten(verdict.Message, fault.MaxRepeated)), nil
	case now.Transition != stood.Transition:
		return fmt.Sprintf("its condition has changed meanwhile: last at %s, and before that at %s",
			cmp.Or(now.Transition, "no time"), cmp.Or(stood.Transition, "no time")), nil
	}
	return "", nil
}
