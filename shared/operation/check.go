package operation

import (
	"cmp"
	"context"
	"fmt"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/proof"
)

// check finds out whether another operation could be done. Whether the cluster can be
// reached and knows us, serves the kind, and allows the verbs, resolve has proven
// before; what is left to see is as whom it knows us, and what the cluster says to the
// object.
func check() Operation {
	return Operation{
		Name:     Check,
		Does:     "Finds out whether the clusters can be reached, and whether an operation could be done there. Nothing is changed.",
		Reads:    true,
		ByName:   true,
		Verbs:    []string{"get"},
		Outcomes: []contract.Outcome{contract.OutcomePassed},
		Act:      tryOut,
		Waits:    never,
		Look:     proof.Judge.Look,
		Decide:   proof.Judge.Decide,
		Outcome:  func(contract.Run, contract.Applied, bool) contract.Outcome { return contract.OutcomePassed },
	}
}

// checks returns the operation that a check is about; empty for other operations.
func (o Operation) checks(run contract.Run) contract.Operation {
	if o.Name != Check {
		return ""
	}
	if run.Check == nil {
		return Default
	}
	return cmp.Or(run.Check.Operation, Default)
}

func tryOut(ctx context.Context, a Action) (Done, error) {
	who, err := a.WhoAmI(ctx)
	if err != nil {
		return Done{}, err
	}
	done := Done{Applied: contract.Applied{Change: contract.ChangeNone}, Message: fmt.Sprintf("the cluster %s knows the access role as %s", a.Target.Cluster, who)}
	checked, err := Of(check().checks(a.Run))
	switch {
	case err != nil:
		return Done{}, err
	case a.Ref == contract.ResourceRef{}:
		return done, nil
	case a.Object == nil || checked.ByName:
		done.Message += fmt.Sprintf("; it may %s %s", checked.Name, a.Ref)
		return done, nil
	}
	a.Run.Apply.DryRun = true
	would, err := checked.Act(ctx, a)
	if err != nil {
		return Done{}, err
	}
	done.Message += fmt.Sprintf("; a dry run of %s %s succeeded: %s", checked.Name, a.Ref, checked.Outcome(a.Run, would.Applied, false))
	return done, nil
}
