package operation

import (
	"fmt"
	"slices"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/proof"
)

// Accepted is the result of a resource for which there was nothing to wait.
func (o Operation) Accepted(in contract.Item, done Done, rule health.Rule) contract.Result {
	result := o.result(in, done.Applied, false)
	result.Values, result.Message = done.Values, done.Message
	switch {
	case result.Message != "":
	case in.Run.Apply.DryRun:
		result.Message = fmt.Sprintf("dry run: the cluster would accept the resource, and kept nothing; Ready would be judged by %s", rule)
	default:
		result.Message = "the cluster accepted the resource; ready.wait is false"
	}
	return result
}

// Proven is the result of a resource whose wait ended well, by a decision on what was
// seen last.
func (o Operation) Proven(in contract.Item, applied contract.Applied, seen contract.Seen, rule health.Rule, decision proof.Decision) contract.Result {
	result := o.result(in, applied, true)
	result.Proof, result.Message = decision.Proof, decision.Message
	if decision.Proof != "" {
		result.Message = fmt.Sprintf("%s (judged by %s; proof: %s)", decision.Message, rule, decision.Proof)
	}
	if seen.Stood != nil {
		result.Stood = []contract.Stood{*seen.Stood}
	}
	return result
}

func (o Operation) result(in contract.Item, applied contract.Applied, waited bool) contract.Result {
	return contract.Result{
		Target: in.Target, Outcome: o.Outcome(in.Run, applied, waited), Change: applied.Change, Fields: applied.Fields,
		GenerationBefore: applied.GenerationBefore, Generation: applied.Generation,
	}
}

// maxMessage bounds the message of each of several resources, in bytes.
const maxMessage = 200

// Together returns the result of a target after one more of its resources: earlier is
// that of those before, nil for the first. Where there is only one, it is its own.
func Together(run contract.Run, earlier *contract.Result, index int, one contract.Result) *contract.Result {
	if len(run.Resources) < 2 {
		return &one
	}
	all := contract.Result{Target: one.Target, Outcome: one.Outcome, Change: one.Change, Proof: one.Proof}
	if earlier != nil {
		all = *earlier
		all.Resources, all.Stood = slices.Clone(earlier.Resources), slices.Clone(earlier.Stood)
		if all.Change == contract.Unchanged || all.Change == contract.ChangeNone {
			all.Change = one.Change
		}
		// One that is missing is what people look for.
		if all.Outcome == contract.OutcomeUnchanged || one.Outcome == contract.OutcomeNotFound {
			all.Outcome = one.Outcome
		}
		all.Proof = weaker(all.Proof, one.Proof)
	}
	all.Values = joined(all.Values, one.Values)
	if all.ObjectKey == "" {
		all.ObjectKey = one.ObjectKey
	}
	all.Stood = append(all.Stood, one.Stood...)
	all.Resources = append(all.Resources, contract.ResourceResult{
		Resource: run.Resources[index], Outcome: one.Outcome, Change: one.Change, GenerationBefore: one.GenerationBefore, Generation: one.Generation,
		Fields: within(all.Resources, one.Fields), Proof: one.Proof, ObjectKey: one.ObjectKey, Message: fault.Shorten(one.Message, maxMessage),
	})
	all.Message = fmt.Sprintf("%d of %d resources; the last one, %s: %s", len(all.Resources), len(run.Resources), run.Resources[index], one.Message)
	return &all
}

// weaker returns the weaker of two proofs: a target's is no stronger than that of any
// of its resources.
func weaker(a, b contract.Proof) contract.Proof {
	if slices.Index(contract.Proofs(), b) > slices.Index(contract.Proofs(), a) {
		return b
	}
	return a
}

func joined(a, b map[string][]any) map[string][]any {
	if b == nil {
		return a
	}
	both := map[string][]any{}
	for name, values := range b {
		both[name] = slices.Concat(a[name], values)
	}
	return both
}

// within keeps the paths of a target's changes within [contract.MaxFieldPaths], however
// many resources there are.
func within(before []contract.ResourceResult, changes *contract.FieldChanges) *contract.FieldChanges {
	if changes == nil {
		return nil
	}
	left := contract.MaxFieldPaths
	for _, resource := range before {
		if f := resource.Fields; f != nil {
			left -= len(f.Removed) + len(f.Changed) + len(f.Added)
		}
	}
	bounded := contract.FieldChanges{Omitted: changes.Omitted}
	take := func(paths []string) []string {
		taken := paths[:min(max(left, 0), len(paths))]
		left -= len(taken)
		bounded.Omitted += len(paths) - len(taken)
		return slices.Clone(taken)
	}
	bounded.Removed, bounded.Changed, bounded.Added = take(changes.Removed), take(changes.Changed), take(changes.Added)
	return &bounded
}
