package world

import (
	"encoding/json"

	"github.com/crossapply/crossapply/shared/contract"
)

// Invocation returns the name of the execution that a function is called for, by the
// event that it is called with, and the target, which is the zero value where the
// function works for all of them; ok is false outside of an invocation.
func Invocation(event string) (execution string, target contract.Target, ok bool) {
	// Some have the execution at the top, the others in their run.
	var in struct {
		Execution string
		Run       contract.Run
		Target    contract.Target
	}
	if err := json.Unmarshal([]byte(event), &in); err != nil {
		return "", contract.Target{}, false
	}
	_, execution, err := contract.ParseExecution(in.Execution + in.Run.Execution)
	return execution, in.Target, err == nil
}
