package statemachine_test

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/runs"
	"github.com/crossapply/crossapply/statemachine"
)

// handler is a Retry or Catch entry of a state, and where it stands.
type handler struct {
	where  string
	field  string
	errors []string
	next   any
}

// handlers returns all Retry and Catch entries, at any depth.
func handlers(t *testing.T, where string, value any) []handler {
	t.Helper()
	var found []handler
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if entries, ok := inner.([]any); ok && (key == "Retry" || key == "Catch") {
				for _, entry := range entries {
					var names []string
					for _, name := range entry.(map[string]any)["ErrorEquals"].([]any) {
						names = append(names, name.(string))
					}
					found = append(found, handler{where: where, field: key, errors: names, next: entry.(map[string]any)["Next"]})
				}
				continue
			}
			found = append(found, handlers(t, where+"/"+key, inner)...)
		}
	case []any:
		for _, inner := range value {
			found = append(found, handlers(t, where, inner)...)
		}
	}
	return found
}

func definition(t *testing.T) map[string]any {
	t.Helper()
	var parsed map[string]any
	if err := json.Unmarshal([]byte(statemachine.Definition), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The Lambda service's own errors that pass.
var lambdaErrors = []string{
	// Those that AWS advises to retry.
	// https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
	"Lambda.ClientExecutionTimeoutException", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException",
	"Lambda.TooManyRequestsException",
	// A function that died or ran out of time. Each of them may be called again.
	"Runtime.ExitError", "Sandbox.Timedout", "Lambda.Unknown", "States.Timeout",
}

// Those of a function in a VPC whose network comes back after weeks without a call.
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
var networkErrors = []string{
	"Lambda.ResourceNotReadyException", "Lambda.ENINotReadyException", "Lambda.EC2ThrottledException", "Lambda.EC2UnexpectedException",
	"Lambda.SubnetIPAddressLimitReachedException",
}

// Those of an event that could not be sent: what ends a request for approval is not
// among them.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-eventbridge.html
var eventErrors = []string{
	"EventBridge.FailedEntry", "EventBridge.InternalException", "EventBridge.ThrottlingException", "EventBridge.SdkClientException",
}

// The states that call AWS themselves: what they do may be repeated after any error.
var calls = []string{"Mark the failure", "Send start event", "Send phase event", "Send end event"}

func TestErrorNamesAreKnown(t *testing.T) {
	all := handlers(t, "", definition(t))
	if len(all) < 25 {
		t.Fatalf("found only %d Retry and Catch entries: does this test still look at them all?", len(all))
	}
	catalogue := fault.Catalogue()
	for _, h := range all {
		for _, name := range h.errors {
			entry, ours := catalogue[fault.Name(name)]
			switch {
			case ours && h.field == "Retry" && !entry.Passes:
				t.Errorf("%s retries %s, which a retry does not help", h.where, name)
			case ours, slices.Contains(lambdaErrors, name), slices.Contains(networkErrors, name):
			case slices.Contains(eventErrors, name) && filepath.Base(h.where) == "Request approval":
			case name == "States.ALL" && h.field == "Catch":
			case name == "States.ALL" && slices.Contains(calls, filepath.Base(h.where)):
			default:
				t.Errorf("%s: %s names %s, which is neither in the list of errors nor one of the Lambda service's", h.where, h.field, name)
			}
		}
	}
}

// task is a state that invokes a function.
type task struct {
	placeholder string
	timeout     float64
	retried     []string
	// waitedOut are the errors after which the state is entered again later, and ends
	// those that it catches otherwise.
	waitedOut, ends []string
}

// tasks returns the states that invoke functions, at any depth.
func tasks(t *testing.T, value any) []task {
	t.Helper()
	var found []task
	switch value := value.(type) {
	case map[string]any:
		if arguments, ok := value["Arguments"].(map[string]any); ok && arguments["FunctionName"] != nil {
			state := task{placeholder: strings.Trim(arguments["FunctionName"].(string), "${}")}
			state.timeout, _ = value["TimeoutSeconds"].(float64)
			for _, h := range handlers(t, "", map[string]any{"Retry": value["Retry"]}) {
				state.retried = append(state.retried, h.errors...)
			}
			for _, h := range handlers(t, "", map[string]any{"Catch": value["Catch"]}) {
				if value["Next"] == h.next {
					state.waitedOut = append(state.waitedOut, h.errors...)
				} else {
					state.ends = append(state.ends, h.errors...)
				}
			}
			found = append(found, state)
		}
		for _, inner := range value {
			found = append(found, tasks(t, inner)...)
		}
	case []any:
		for _, inner := range value {
			found = append(found, tasks(t, inner)...)
		}
	}
	return found
}

// The definition invokes every function of the deployment, in one state each. It
// waits a little longer than the function may run, so that the function ends first
// and says why; and it retries what passes: the Lambda service's own errors, and of
// ours those that the function can meet.
func TestTasks(t *testing.T) {
	const shortest, longest = 30, 60 // seconds that the state waits longer
	var cluster, verdicts []string
	for _, name := range fault.Names() {
		if entry := fault.Catalogue()[name]; entry.Passes {
			cluster = append(cluster, string(name))
		} else if entry.Verdict {
			verdicts = append(verdicts, string(name))
		}
	}
	all := tasks(t, definition(t))
	for _, f := range deployment.Functions() {
		i := slices.IndexFunc(all, func(state task) bool { return state.placeholder == f.Placeholder() })
		if i < 0 {
			t.Errorf("no state invokes %s", f.Name)
			continue
		}
		state := all[i]
		all = slices.Delete(all, i, i+1)
		if spare := state.timeout - float64(f.TimeoutSeconds); spare < shortest || spare > longest {
			t.Errorf("%s may run %d s, and its state gives up after %v s", f.Name, f.TimeoutSeconds, state.timeout)
		}
		if slices.Contains(f.Environment, awsenv.PollWindow) {
			// It waits until a deadline: only a verdict ends it before.
			if slices.Sort(state.ends); !slices.Equal(state.ends, verdicts) || !slices.Equal(state.waitedOut, []string{"States.ALL"}) {
				t.Errorf("%s ends with %v and waits out %v", f.Name, state.ends, state.waitedOut)
			}
			continue
		}
		passing := slices.Concat([]string{string(fault.Throttled), string(fault.AWSUnavailable)}, lambdaErrors, networkErrors)
		if f.ReachesClusters {
			passing = append(passing, cluster...)
		}
		for _, name := range passing {
			if !slices.Contains(state.retried, name) {
				t.Errorf("%s is not retried after %s", f.Name, name)
			}
		}
	}
	if len(all) > 0 {
		t.Errorf("states invoke other functions, or one again: %+v", all)
	}
}

// Where an event cannot be sent, the execution goes on as if it had been.
func TestEventsDoNotHurt(t *testing.T) {
	states, _ := definition(t)["States"].(map[string]any)
	sent := 0
	for name, state := range states {
		state, _ := state.(map[string]any)
		if resource, _ := state["Resource"].(string); !strings.HasSuffix(resource, ":events:putEvents") {
			continue
		}
		sent++
		want := []any{map[string]any{"ErrorEquals": []any{"States.ALL"}, "Output": state["Output"], "Next": state["Next"]}}
		if !reflect.DeepEqual(state["Catch"], want) || state["Output"] == nil {
			t.Errorf("%s ends otherwise with an error: %v", name, state["Catch"])
		}
	}
	if sent != 3 {
		t.Errorf("%d states send events", sent)
	}
}

// The names that the definition and the deployment share.
func TestNamesOfTheDefinition(t *testing.T) {
	for _, label := range []string{deployment.MapLabel, deployment.DiscoveryLabel} {
		if !strings.Contains(statemachine.Definition, `"Label": "`+label+`"`) {
			t.Errorf("no Map's Label is %q", label)
		}
	}
	sources := regexp.MustCompile(`"Source": "(.*?)"`).FindAllStringSubmatch(statemachine.Definition, -1)
	for _, source := range sources {
		if source[1] != deployment.EventSource {
			t.Errorf("an event's source is %q", source[1])
		}
	}
	if len(sources) != 4 {
		t.Errorf("there are %d events", len(sources))
	}
	if !strings.Contains(statemachine.Definition, `$item.run.prefix & '`+runs.Failed+`' &`) {
		t.Errorf("a target that failed is not marked below %s", runs.Failed)
	}
	for _, name := range []fault.Name{fault.RolloutStopped, fault.ReadyTimeout, fault.RolloutFailed, fault.FirstExecutionStopped} {
		if !strings.Contains(statemachine.Definition, string(name)) {
			t.Errorf("the definition does not name %s", name)
		}
	}
}

func TestSubstitute(t *testing.T) {
	want := []string{
		deployment.PartitionPlaceholder, deployment.EventBusPlaceholder,
		deployment.AccountsPlaceholder, deployment.UnitsPlaceholder, deployment.RegionsPlaceholder,
	}
	for _, f := range deployment.Functions() {
		want = append(want, f.Placeholder())
	}
	slices.Sort(want)
	if got := statemachine.Placeholders(); !slices.Equal(got, want) {
		t.Fatalf("placeholders %q, want %q", got, want)
	}
	values := map[string]string{}
	for _, name := range want {
		values[name] = "arn:aws:lambda:eu-west-1:111111111111:function:" + name
	}
	filled, err := statemachine.Substitute(values)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(filled, "${") || !json.Valid([]byte(filled)) {
		t.Error("placeholders are left, or the result is no JSON")
	}
	delete(values, "PollFunctionArn")
	if _, err := statemachine.Substitute(values); err == nil {
		t.Error("a missing value is not refused")
	}
	values["PollFunctionArn"], values["Other"] = "x", "y"
	if _, err := statemachine.Substitute(values); err == nil {
		t.Error("a value without a placeholder is not refused")
	}
}

// Partitions, account ids and Regions belong to a deployment.
func TestNoAccountInDefinition(t *testing.T) {
	for _, word := range []string{"111111111111", "arn:aws", "eu-west", "us-east"} {
		if strings.Contains(statemachine.Definition, word) {
			t.Errorf("the definition holds %q", word)
		}
	}
}
