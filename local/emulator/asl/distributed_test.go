package asl_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
)

// fleet is a distributed Map over the objects that a file lists. %s is further
// fields of the Map.
const fleet = `{
  "QueryLanguage": "JSONata", "StartAt": "Roll out", "States": {
    "Roll out": {
      "Type": "Map", "Label": "Target", %s
      "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": {"InputType": "JSON"},
        "Arguments": {"Bucket": "{%% $states.input.bucket %%}", "Key": "targets.json"}},
      "ItemSelector": {"target": "{%% $states.context.Map.Item.Value %%}", "index": "{%% $states.context.Map.Item.Index %%}", "source": "{%% $states.context.Map.Item.Source %%}"},
      "MaxConcurrency": "{%% $states.input.concurrency %%}",
      "ResultWriter": {"Resource": "arn:aws:states:::s3:putObject",
        "Arguments": {"Bucket": "{%% $states.input.bucket %%}", "Prefix": "results/run"}},
      "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Apply", "States": {"Apply": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
          "Arguments": {"FunctionName": "apply", "Payload": "{%% $states.input %%}"},
          "Output": "{%% $states.result.Payload %%}", "End": true}}},
      "Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{%% $states.errorOutput %%}", "Next": "Report"}],
      "Next": "Report"},
    "Report": {"Type": "Pass", "End": true}}}`

func fleetCase(fields string, apply asltest.Function) asltest.Case {
	return asltest.Case{
		Definition: fmt.Sprintf(fleet, fields),
		Input:      `{"bucket":"runs","concurrency":2}`,
		Objects:    asltest.Objects{"runs/targets.json": `[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]`},
		Functions:  asltest.Functions{"apply": apply},
	}
}

// outcomes answers each target as its name says, after a second.
func outcomes(byName map[string]asltest.Reply) asltest.Function {
	return func(_ context.Context, call asltest.Call) asltest.Reply {
		var payload struct{ Target struct{ Name string } }
		if err := json.Unmarshal(call.Payload, &payload); err != nil {
			return asltest.Fail("Test", err.Error())
		}
		reply, ok := byName[payload.Target.Name]
		if !ok {
			reply = asltest.Output(`{"outcome": "Ready", "cluster": "` + payload.Target.Name + `"}`)
		}
		if reply.Delay == 0 {
			reply.Delay = time.Second
		}
		return reply
	}
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

type resultRecord struct {
	ExecutionArn, Input, Name, Output, Status, Error, Cause, StateMachineArn, StartDate, StopDate string
	InputDetails                                                                                  struct{ Included bool }
}

func TestDistributedMap(t *testing.T) {
	run := asltest.Run(t, fleetCase("", outcomes(nil)))
	if run.Status != types.ExecutionStatusSucceeded {
		t.Fatalf("%s: %s %s", run.Status, run.Error, run.Cause)
	}
	if want := []string{"Roll out", "Report"}; !slices.Equal(run.Route, want) {
		t.Errorf("route %q, want %q", run.Route, want)
	}
	if want := strings.Fields(`ExecutionStarted MapStateEntered MapStateStarted MapRunStarted MapRunSucceeded
		MapStateSucceeded MapStateExited PassStateEntered PassStateExited ExecutionSucceeded`); !slices.Equal(run.Types(), want) {
		t.Errorf("events %q, want %q", run.Types(), want)
	}
	if run.Duration != 2*time.Second {
		t.Errorf("took %s: 4 targets of 1 s, 2 at once, are 2 s", run.Duration)
	}
	if len(run.Children) != 4 {
		t.Fatalf("%d children", len(run.Children))
	}
	if got, want := *run.Children[1].Events[0].ExecutionStartedEventDetails.Input, `{"target":{"name":"b"},"index":1,"source":"S3://runs/targets.json"}`; got != want {
		t.Errorf("child's input %s, want %s", got, want)
	}
	out := decode[struct {
		MapRunArn           string
		ResultWriterDetails struct{ Bucket, Key string }
	}](t, run.Output)
	const prefix = "arn:aws:states:eu-west-1:111111111111:mapRun:test/Target:"
	id, ok := strings.CutPrefix(out.MapRunArn, prefix)
	if !ok {
		t.Errorf("MapRunArn %s, want %s...", out.MapRunArn, prefix)
	}
	if want := "results/run/" + id + "/manifest.json"; out.ResultWriterDetails.Key != want || out.ResultWriterDetails.Bucket != "runs" {
		t.Errorf("results in %+v, want %s", out.ResultWriterDetails, want)
	}
	body := run.Objects.Find(t, "SUCCEEDED_0.json")
	wantManifest := fmt.Sprintf(`{"DestinationBucket":"runs","MapRunArn":"%s","ResultFiles":{"FAILED":[],"PENDING":[],"SUCCEEDED":[{"Key":"results/run/%s/SUCCEEDED_0.json","Size":%d}]}}`,
		out.MapRunArn, id, len(body))
	if got := run.Objects.Find(t, "manifest.json"); got != wantManifest {
		t.Errorf("manifest\n got %s\nwant %s", got, wantManifest)
	}
	records := decode[[]resultRecord](t, body)
	if len(records) != 4 {
		t.Fatalf("%d records", len(records))
	}
	first := records[0]
	if !strings.HasPrefix(first.ExecutionArn, "arn:aws:states:eu-west-1:111111111111:execution:test/Target:"+first.Name) ||
		first.StateMachineArn != asltest.MachineARN+"/Target" || first.Status != "SUCCEEDED" ||
		first.Output != `{"outcome":"Ready","cluster":"a"}` || first.Input != `{"target":{"name":"a"},"index":0,"source":"S3://runs/targets.json"}` || !first.InputDetails.Included ||
		first.StartDate != "2000-01-01T00:00:00.000Z" || first.StopDate != "2000-01-01T00:00:01.000Z" {
		t.Errorf("record %+v", first)
	}
}

func TestDistributedMapStopsBeyondTolerance(t *testing.T) {
	// b fails while a still runs; a is aborted, c and d never start.
	run := asltest.Run(t, fleetCase("", outcomes(map[string]asltest.Reply{
		"a": asltest.Hang(), "b": asltest.Fail("CrossApply.Forbidden", "no"),
	})))
	failure := decode[struct{ Error, Cause string }](t, run.Output)
	if failure.Error != asl.ErrToleranceExceeded {
		t.Errorf("caught %+v", failure)
	}
	if want := strings.Fields(`ExecutionStarted MapStateEntered MapStateStarted MapRunStarted MapRunFailed
		MapStateFailed MapStateExited PassStateEntered PassStateExited ExecutionSucceeded`); !slices.Equal(run.Types(), want) {
		t.Errorf("events %q, want %q", run.Types(), want)
	}
	failed := decode[[]resultRecord](t, run.Objects.Find(t, "FAILED_0.json"))
	if len(failed) != 2 || failed[0].Status != "ABORTED" || failed[1].Status != "FAILED" || failed[1].Error != "CrossApply.Forbidden" {
		t.Errorf("failed %+v", failed)
	}
	pending := run.Objects.Find(t, "PENDING_0.json")
	if want := `[{"Input":"{\"name\":\"c\"}","InputDetails":{"Included":true},"Status":"PENDING"},{"Input":"{\"name\":\"d\"}","InputDetails":{"Included":true},"Status":"PENDING"}]`; pending != want {
		t.Errorf("pending\n got %s\nwant %s", pending, want)
	}
	manifest := decode[struct {
		ResultFiles map[string][]struct{ Size int }
	}](t, run.Objects.Find(t, "manifest.json"))
	if f := manifest.ResultFiles; len(f["SUCCEEDED"]) != 0 || len(f["FAILED"]) != 1 || len(f["PENDING"]) != 1 {
		t.Errorf("manifest %+v", f)
	}
}

func TestDistributedMapTolerance(t *testing.T) {
	twoFail := outcomes(map[string]asltest.Reply{"a": asltest.Fail("E", ""), "c": asltest.Fail("E", "")})
	for _, tc := range []struct {
		fields   string
		exceeded bool
	}{
		{``, true},
		{`"ToleratedFailureCount": 1,`, true},
		{`"ToleratedFailureCount": 2,`, false},
		{`"ToleratedFailureCount": "{% 1 + 1 %}",`, false},
		{`"ToleratedFailurePercentage": 49,`, true},
		{`"ToleratedFailurePercentage": 50,`, false},
		{`"ToleratedFailurePercentage": "{% 100 %}",`, false},
		{`"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 100,`, true},
		{`"ToleratedFailureCount": 0, "ToleratedFailurePercentage": 100,`, false},
	} {
		t.Run(tc.fields, func(t *testing.T) {
			run := asltest.Run(t, fleetCase(tc.fields, twoFail))
			if got := strings.Contains(run.Output, asl.ErrToleranceExceeded); got != tc.exceeded {
				t.Errorf("exceeded: %v, want %v; output %s; %s %s: %s %q", got, tc.exceeded, run.Output, run.Status, run.Error, run.Cause, run.Types())
			}
			if !tc.exceeded && len(run.Children) != 4 {
				t.Errorf("%d children", len(run.Children))
			}
		})
	}
}

func TestDistributedMapRetryStartsANewRun(t *testing.T) {
	run := asltest.Run(t, fleetCase(`"Retry": [{"ErrorEquals": ["States.ExceedToleratedFailureThreshold"], "MaxAttempts": 1}],`,
		func(_ context.Context, call asltest.Call) asltest.Reply {
			if call.N == 0 {
				return asltest.Fail("E", "once")
			}
			return asltest.Output(`{}`).After(time.Second)
		}))
	if run.Status != types.ExecutionStatusSucceeded || !strings.Contains(run.Output, "MapRunArn") {
		t.Errorf("%s %s", run.Status, run.Output)
	}
	var started int
	for _, typ := range run.Types() {
		if typ == "MapRunStarted" {
			started++
		}
	}
	if started != 2 {
		t.Errorf("%d map runs", started)
	}
}

func TestDistributedMapWithoutItsFile(t *testing.T) {
	c := fleetCase("", outcomes(nil))
	c.Objects = nil
	run := asltest.Run(t, c)
	if !strings.Contains(run.Output, asl.ErrItemReaderFailed) {
		t.Errorf("output %s", run.Output)
	}
}

func TestStopAbortsChildren(t *testing.T) {
	c := fleetCase("", outcomes(map[string]asltest.Reply{"a": asltest.Hang(), "b": asltest.Hang()}))
	c.StopAfter = 5 * time.Second
	run := asltest.Run(t, c)
	if run.Status != types.ExecutionStatusAborted || run.Error != "Stopped" {
		t.Errorf("%s %s", run.Status, run.Error)
	}
	for _, child := range run.Children {
		if child.Status != types.ExecutionStatusAborted {
			t.Errorf("child %s", child.Status)
		}
	}
	if len(run.Children) != 2 {
		t.Errorf("%d children", len(run.Children))
	}
	failed := decode[[]resultRecord](t, run.Objects.Find(t, "FAILED_0.json"))
	if len(failed) != 2 || failed[0].Status != "ABORTED" {
		t.Errorf("failed %+v", failed)
	}
	pending := decode[[]resultRecord](t, run.Objects.Find(t, "PENDING_0.json"))
	if len(pending) != 2 || pending[0].Status != "PENDING" {
		t.Errorf("pending %+v", pending)
	}
	run.Objects.Find(t, "manifest.json")
}

func TestDistributedMapTransformations(t *testing.T) {
	const definition = `{"QueryLanguage": "JSONata", "StartAt": "M", "States": {"M": {"Type": "Map", %s
		"Items": [[1, 2], 3], "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
		"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}}, "End": true}}}`
	for _, tc := range []struct{ fields, want string }{
		{``, `[[1,2],3]`},
		{`"ResultWriter": {"WriterConfig": {"Transformation": "FLATTEN"}},`, `[1,2,3]`},
		{`"ResultWriter": {"WriterConfig": {"Transformation": "COMPACT", "OutputType": "JSONL"}},`, `"[1,2]\n3\n"`},
	} {
		run := asltest.Run(t, asltest.Case{Definition: fmt.Sprintf(definition, tc.fields)})
		if run.Output != tc.want {
			t.Errorf("%s: %s %s, want %s", tc.fields, run.Output, run.Cause, tc.want)
		}
	}
}

func TestManyChildren(t *testing.T) {
	const n = 300
	run := asltest.Run(t, asltest.Case{
		Input: `{}`,
		Definition: fmt.Sprintf(`{"QueryLanguage": "JSONata", "StartAt": "M", "States": {"M": {"Type": "Map",
		"Items": "{%% [1..%d] %%}", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
		"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 60, "Output": "{%% $states.input * 2 %%}", "End": true}}}, "End": true}}}`, n),
	})
	if run.Duration != time.Minute || len(run.Children) != n || !strings.HasSuffix(run.Output, ",600]") {
		t.Errorf("%s, %d children, %s", run.Duration, len(run.Children), run.Output)
	}
}
