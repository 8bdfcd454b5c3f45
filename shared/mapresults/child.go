package mapresults

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
)

// maxMessage bounds a message, in bytes.
const maxMessage = 400

// Messages of targets that have none of their own.
const (
	// NotStarted is that of a target whose turn never came.
	NotStarted = "the rollout ended before this target's turn"

	aborted     = "the rollout ended while this target was worked on"
	stillAtWork = "the target was stopped just before this report was made, and the function that changes it may still have been at work: report again in a minute"
)

// Target returns the target that a child is about; of one that lists the clusters of an
// account, the account alone. The input of a child that was never started can be the
// item itself, as the Map read it: AWS does not say whether its ItemSelector was
// evaluated by then.
func (c Child) Target() (contract.Target, error) {
	var item struct {
		Target *contract.Target `json:"target"`
	}
	if err := json.Unmarshal([]byte(c.Input), &item); err != nil {
		return contract.Target{}, fmt.Errorf("its input: %w", err)
	}
	if item.Target != nil {
		return *item.Target, nil
	}
	var target contract.Target
	if err := json.Unmarshal([]byte(c.Input), &target); err != nil {
		return contract.Target{}, fmt.Errorf("its input: %w", err)
	}
	return target, nil
}

// Phase returns the phase that a child worked for; the zero one where its input does not
// say.
func (c Child) Phase() contract.Phase {
	var item struct {
		Phase contract.Phase `json:"phase"`
	}
	if json.Unmarshal([]byte(c.Input), &item) != nil {
		return contract.Phase{}
	}
	return item.Phase
}

// Unreadable is the result of a target whose own cannot be read.
func Unreadable(target contract.Target, reason error) contract.Result {
	return contract.Result{
		Target: target, Outcome: contract.OutcomeFailed, Error: string(fault.ResultUnreadable),
		Message: fault.Shorten(fmt.Sprintf("%s: the result that Step Functions wrote cannot be read: %v", target, reason), maxMessage),
	}
}

// Result says how a child ended that is about a target, in the words of the answer. An
// error says why the entry cannot be believed: see [Unreadable].
func (c Child) Result(target contract.Target, now time.Time) (contract.Result, error) {
	result := contract.Result{Target: target}
	if c.odd != nil {
		return result, c.odd
	}
	switch c.Status {
	case "SUCCEEDED":
		if err := c.returned(&result); err != nil {
			return result, fmt.Errorf("its output: %w", err)
		}
	case "FAILED", "TIMED_OUT":
		result.Outcome, result.Error, result.Message = OutcomeOf(c.Error), c.Error, messageOf(c.Error, c.Cause)
	case "ABORTED", "RUNNING":
		result.Outcome, result.Message = contract.OutcomeStopped, aborted
		switch stopped, err := time.Parse(time.RFC3339, c.StopDate); {
		case c.StartDate == "": // aborted before it began
			result.Outcome, result.Message = contract.OutcomeNotStarted, NotStarted
		case err != nil || now.Before(stopped.Add(deployment.StillAtWork())):
			result.Change, result.ChangeUnknown = contract.ChangeUnknown, stillAtWork
		}
	case "PENDING":
		result.Outcome, result.Message = contract.OutcomeNotStarted, NotStarted
	default:
		return result, fmt.Errorf("its status is %q", c.Status)
	}
	result.Seconds = seconds(c.StartDate, c.StopDate)
	return result, nil
}

// returned reads the output of a child that succeeded.
func (c Child) returned(result *contract.Result) error {
	target := result.Target
	if err := json.Unmarshal([]byte(c.Output), result); err != nil {
		return err
	}
	if result.Outcome == contract.OutcomeSkipped { // the message is the cause of the error
		result.Message = messageOf(result.Error, result.Message)
	}
	return check(*result, target)
}

// check refuses an output that is not the result of a target.
func check(result contract.Result, target contract.Target) error {
	if result.Target != target {
		return fmt.Errorf("it is about %s", result.Target)
	}
	if err := checkWords(result.Outcome, result.Change, result.Proof); err != nil {
		return err
	}
	for _, resource := range result.Resources {
		if err := checkWords(resource.Outcome, resource.Change, resource.Proof); err != nil {
			return fmt.Errorf("%s: %w", resource.Resource, err)
		}
	}
	return nil
}

// checkWords refuses an outcome, a change and a proof that there are not.
func checkWords(outcome contract.Outcome, change contract.Change, proof contract.Proof) error {
	switch {
	case !slices.Contains(contract.Outcomes(), outcome):
		return fmt.Errorf("its outcome is %q", outcome)
	case change != "" && !slices.Contains(contract.Changes(), change):
		return fmt.Errorf("its change is %q", change)
	case proof != "" && !slices.Contains(contract.Proofs(), proof):
		return fmt.Errorf("its proof is %q", proof)
	}
	return nil
}

// OutcomeOf returns the outcome of a target that failed with an error of that name.
func OutcomeOf(name string) contract.Outcome {
	if name == string(fault.ReadyTimeout) {
		return contract.OutcomeTimedOut
	}
	return contract.OutcomeFailed
}

// messageOf returns the message in the cause of an error: what a function reports, or
// the service's own words, if it has any.
func messageOf(name, cause string) string {
	var reported struct {
		Message string `json:"errorMessage"`
	}
	if err := json.Unmarshal([]byte(cause), &reported); err == nil && reported.Message != "" {
		return reported.Message
	}
	return cmp.Or(cause, "Step Functions ended the target with "+name)
}

// seconds returns the time between two moments, in seconds with milliseconds, and 0
// where one of them is not given.
func seconds(from, to string) float64 {
	start, err := time.Parse(time.RFC3339, from)
	if err != nil {
		return 0
	}
	end, err := time.Parse(time.RFC3339, to)
	if err != nil {
		return 0
	}
	return float64(end.Sub(start).Milliseconds()) / 1000
}
