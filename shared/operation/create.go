package operation

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/fields"
	"github.com/crossapply/crossapply/shared/proof"
)

// create creates an object that is not there, and waits until it is Ready.
func create() Operation {
	return Operation{
		Name:      Create,
		Does:      "Creates the resource, which must not be there, and waits until it is Ready.",
		Verbs:     []string{"get", "create"},
		WaitVerbs: []string{"watch"},
		Outcomes:  []contract.Outcome{contract.OutcomeReady, contract.OutcomeApplied, contract.OutcomeWouldCreate},
		Until:     untilReady,
		Act:       createOnce,
		Waits:     waitsForReady,
		Look:      proof.Judge.Look,
		Decide:    proof.Judge.Decide,
		Outcome:   writeOutcome,
	}
}

// createOnce creates an object. One that is there although the journal says that there
// was none is that of an attempt whose answer was lost, if our field manager made it.
func createOnce(ctx context.Context, a Action) (Done, error) {
	live, err := a.live(ctx)
	if err != nil {
		return Done{}, err
	}
	before, err := a.note(ctx, live)
	if err != nil {
		return Done{}, err
	}
	manager := a.Run.Apply.FieldManager
	switch {
	case live == nil:
		after, err := a.Resource.Create(ctx, a.Object, metav1.CreateOptions{FieldManager: manager, FieldValidation: metav1.FieldValidationStrict, DryRun: a.dryRun()})
		if err != nil {
			return Done{}, err
		}
		return written(nil, after, manager)
	case before == nil && fields.Owned(live, manager) != nil:
		return written(nil, live, manager)
	}
	return Done{}, fault.New(fault.AlreadyExists, "%s: create %s: there is one already", a.Target, a.Ref)
}
