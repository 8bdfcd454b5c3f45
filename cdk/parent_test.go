package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
	"github.com/crossapply/crossapply/shared/fault"
)

const parentFile = "../examples/parent-workflow.asl.json"

// The example of a parent workflow names errors that exist. (The definition's own
// tests lint it.)
func TestParentWorkflow(t *testing.T) {
	for _, name := range regexp.MustCompile(`CrossApply\.\w+`).FindAllString(string(read(t, parentFile)), -1) {
		if _, ok := fault.Catalogue()[fault.Name(name)]; !ok {
			t.Errorf("%s is no error of the workflow", name)
		}
	}
}

// It goes the way it should for each end of the rollout. The call of the nested
// execution is answered by a script, in the form that Step Functions gives it.
func TestParentWorkflowRoutes(t *testing.T) {
	definition := strings.ReplaceAll(string(read(t, parentFile)), "arn:aws:states:::states:startExecution.sync:2", "arn:aws:states:::lambda:invoke")
	definition = strings.Replace(definition, `"StateMachineArn": "${CrossapplyArn}",`, `"FunctionName": "crossapply",`, 1)
	definition = strings.Replace(definition, `"Input"`, `"Payload"`, 1)
	// A cause is cut at 32,768 characters. The description of an execution begins
	// with its cause and error, and its input may be eight times as long.
	cut := func(name, input string) asltest.Reply {
		body, err := json.Marshal(map[string]any{"Cause": `{"failed":[]}`, "Error": name, "ExecutionArn": "arn", "Input": strings.Repeat(input, 40_000)})
		must(t, err)
		return asltest.Fail("States.TaskFailed", string(body[:32_768]))
	}
	failed := func(status, name, cause string) asltest.Reply {
		body, err := json.Marshal(map[string]any{"ExecutionArn": "arn", "Status": status, "Error": name, "Cause": cause})
		must(t, err)
		return asltest.Fail("States.TaskFailed", string(body))
	}
	tests := []struct {
		name  string
		reply asltest.Reply
		route []string
	}{
		{"all is well", asltest.Reply{Result: json.RawMessage(`{"Status":"SUCCEEDED","Output":{"status":"Succeeded"}}`)}, []string{"Roll out"}},
		{"targets failed", failed("FAILED", "CrossApply.RolloutFailed", `{"failed":[]}`), []string{"Roll out", "What went wrong?", "Some targets failed"}},
		{"request refused", failed("FAILED", "CrossApply.InvalidRequest", "targets: Required"), []string{"Roll out", "What went wrong?", "Request refused"}},
		{"targets failed, and the cause is cut", cut("CrossApply.RolloutFailed", "x"), []string{"Roll out", "What went wrong?", "Some targets failed"}},
		{"cut where an object ends", cut("CrossApply.RolloutFailed", "}"), []string{"Roll out", "What went wrong?", "Some targets failed"}},
		{"request refused, and the cause is cut", cut("CrossApply.InvalidRequest", "x"), []string{"Roll out", "What went wrong?", "Request refused"}},
		{"its input speaks of an error", failed("FAILED", "", `{"Input":"CrossApply.RolloutFailed", "Error": "CrossApply.RolloutFailed"}`), []string{"Roll out", "What went wrong?", "Rollout broke"}},
		{"stopped by somebody", failed("ABORTED", "", ""), []string{"Roll out", "What went wrong?", "Rollout broke"}},
		{"not started", asltest.Fail("StepFunctions.StateMachineDoesNotExistException", "State Machine Does Not Exist"), []string{"Roll out", "What went wrong?", "Rollout broke"}},
		{"out of patience", asltest.Hang(), []string{"Roll out", "Rollout broke"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := asltest.Run(t, asltest.Case{
				Definition: definition, Input: `{"request": {"targets": []}}`,
				Functions: asltest.Functions{"crossapply": asltest.Replies(tt.reply)},
			})
			if !slices.Equal(run.Route, tt.route) {
				t.Errorf("went %q, want %q", run.Route, tt.route)
			}
			if ended := tt.route[len(tt.route)-1]; run.Error == "States.QueryEvaluationError" {
				t.Errorf("an expression of %q fails: %s", ended, run.Cause)
			}
		})
	}
}
