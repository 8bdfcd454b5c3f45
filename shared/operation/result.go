package operation

import (
	"fmt"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/proof"
)

// Accepted is the result of a target on which there was nothing to wait for.
func (o Operation) Accepted(in contract.Item, applied contract.Applied, rule health.Rule) *contract.Result {
	result := o.result(in, applied, false)
	result.Message = "the cluster accepted the resource; ready.wait is false"
	if in.Run.Apply.DryRun {
		result.Message = fmt.Sprintf("dry run: the cluster would accept the resource, and kept nothing; Ready would be judged by %s", rule)
	}
	return result
}

// Proven is the result of a target whose wait ended well, by a decision.
func (o Operation) Proven(in contract.Item, applied contract.Applied, rule health.Rule, decision proof.Decision) *contract.Result {
	result := o.result(in, applied, true)
	result.Proof = decision.Proof
	result.Message = fmt.Sprintf("%s (judged by %s; proof: %s)", decision.Message, rule, decision.Proof)
	return result
}

func (o Operation) result(in contract.Item, applied contract.Applied, waited bool) *contract.Result {
	return &contract.Result{
		Target: in.Target, Outcome: o.Outcome(applied, waited), Change: applied.Change, Fields: applied.Fields,
		GenerationBefore: applied.GenerationBefore, Generation: applied.Generation,
	}
}
