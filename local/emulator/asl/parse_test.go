package asl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/asl/asltest"
)

// machine wraps states into a definition.
func machine(states string) string {
	return `{"QueryLanguage": "JSONata", "StartAt": "A", "States": {` + states + `}}`
}

func TestParseRefusesWhatItDoesNotSupport(t *testing.T) {
	const task = `"A": {"Type": "Task", "End": true, `
	const distributed = `"A": {"Type": "Map", "End": true, "Items": [], "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
		"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}, `
	engine := asltest.Engine(t)
	for _, tc := range []struct{ name, definition, path, what string }{
		{"JSONPath machine", `{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}`, "/States/A", `JSONPath (state "A")`},
		{"JSONPath inside of a JSONata state", `{"StartAt": "A", "States": {"A": {"QueryLanguage": "JSONata", "Type": "Parallel", "End": true,
			"Branches": [{"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}]}}}`,
			"/States/A/Branches[0]/States/B", `JSONPath (state "B")`},
		{"activity", machine(task + `"Resource": "arn:aws:states:eu-west-1:111111111111:activity:x"}`), "/States/A/Resource", "activity:x"},
		{"integration", machine(task + `"Resource": "arn:aws:states:::sqs:sendMessage"}`), "/States/A/Resource", "sqs:sendMessage"},
		{"callback", machine(task + `"Resource": "arn:aws:states:::aws-sdk:s3:putObject.waitForTaskToken"}`), "/States/A/Resource", "waitForTaskToken"},
		{"nested execution", machine(task + `"Resource": "arn:aws:states:::states:startExecution.sync:2"}`), "/States/A/Resource", "startExecution.sync:2"},
		{"credentials", machine(task + `"Credentials": {}, "Resource": "arn:aws:states:::lambda:invoke"}`), "/States/A/Credentials", "Credentials"},
		{"batches", machine(distributed + `"ItemBatcher": {"MaxItemsPerBatch": 2}}`), "/States/A/ItemBatcher", "ItemBatcher"},
		{
			"express children", machine(strings.Replace(distributed, "STANDARD", "EXPRESS", 1) + `"Label": "x"}`),
			"/States/A/ItemProcessor/ProcessorConfig/ExecutionType", "EXPRESS",
		},
		{
			"CSV",
			machine(strings.Replace(distributed, `"Items": [], `, "", 1) + `"ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
				"Arguments": {}, "ReaderConfig": {"InputType": "CSV"}}}`),
			"/States/A/ItemReader/ReaderConfig/InputType", "CSV",
		},
		{
			"list",
			machine(strings.Replace(distributed, `"Items": [], `, "", 1) + `"ItemReader": {"Resource": "arn:aws:states:::s3:listObjectsV2", "Arguments": {}}}`),
			"/States/A/ItemReader/Resource", "listObjectsV2",
		},
		{
			"version of an object",
			machine(strings.Replace(distributed, `"Items": [], `, "", 1) + `"ItemReader": {"Resource": "arn:aws:states:::s3:getObject",
				"Arguments": {"Bucket": "b", "Key": "k", "VersionId": "v"}}}`),
			"/States/A/ItemReader/Arguments/VersionId", "VersionId",
		},
		{
			"argument in another case",
			machine(distributed + `"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject", "Arguments": {"Bucket": "b", "prefix": "p"}}}`),
			"/States/A/ResultWriter/Arguments/prefix", "prefix",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := asl.Parse(engine, []byte(tc.definition))
			var refused *asl.UnsupportedError
			if !errors.As(err, &refused) || refused.Path != tc.path || !strings.Contains(refused.What, tc.what) {
				t.Errorf("got %v, want %s at %s", err, tc.what, tc.path)
			}
		})
	}
}

func TestParseFindsMistakes(t *testing.T) {
	const task = `"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, `
	const reader = `"A": {"Type": "Map", "End": true, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
		"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}, "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", `
	engine := asltest.Engine(t)
	for _, tc := range []struct{ name, definition, code, path string }{
		{"not JSON", `{`, "INVALID_JSON_DESCRIPTION", "/"},
		{"no start", `{"QueryLanguage": "JSONata", "States": {"A": {"Type": "Succeed"}}}`, "MISSING_START_AT", "/StartAt"},
		{"start nowhere", `{"QueryLanguage": "JSONata", "StartAt": "B", "States": {"A": {"Type": "Succeed"}}}`, "MISSING_TRANSITION_TARGET", "/StartAt"},
		{"next nowhere", machine(`"A": {"Type": "Pass", "Next": "B"}`), "MISSING_TRANSITION_TARGET", "/States/A"},
		{
			"catch nowhere",
			machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "B"}]}`),
			"MISSING_TRANSITION_TARGET", "/States/A",
		},
		{"not reachable", machine(`"A": {"Type": "Succeed"}, "B": {"Type": "Succeed"}`), "MISSING_TRANSITION_TARGET", "/States/B"},
		{"unknown field", machine(`"A": {"Type": "Pass", "Colour": 1, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A"},
		{"field of JSONPath", machine(`"A": {"Type": "Pass", "ResultPath": "$", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A"},
		{"field of another type", machine(`"A": {"Type": "Pass", "Arguments": {}, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A"},
		{"no end", machine(`"A": {"Type": "Pass"}`), "SCHEMA_VALIDATION_FAILED", "/States/A"},
		{"unknown type", machine(`"A": {"Type": "Loop", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Type"},
		{"bad expression", machine(`"A": {"Type": "Pass", "Output": {"x": ["{% $states.( %}"]}, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output/x[0]"},
		{"operator of a later JSONata", machine(`"A": {"Type": "Pass", "Output": "{% $states.input ?? 1 %}", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output"},
		{"reserved variable", machine(`"A": {"Type": "Pass", "Assign": {"states": 1}, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Assign/states"},
		{
			"States.ALL first",
			machine(`"A": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true, "Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["X"]}]}`),
			"SCHEMA_VALIDATION_FAILED", "/States/A/Retry[0]/ErrorEquals",
		},
		{"negative wait", machine(`"A": {"Type": "Wait", "Seconds": -1, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Seconds"},
		{"variable of an outer scope", machine(`"A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"}, "B": {"Type": "Map", "Items": [], "End": true,
			"ItemProcessor": {"StartAt": "C", "States": {"C": {"Type": "Pass", "Assign": {"x": 2}, "End": true}}}}`),
			"SCHEMA_VALIDATION_FAILED", "/States/B/ItemProcessor/States/C/Assign/x"},
		{"expression not closed", machine(`"A": {"Type": "Pass", "Output": ["{% 1"], "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output[0]"},
		{"expression not opened", machine(`"A": {"Type": "Pass", "Output": {"x": "1 %}"}, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output/x"},
		{"space before an expression", machine(`"A": {"Type": "Pass", "Output": " {% 1 %}", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output"},
		{"marks that overlap", machine(`"A": {"Type": "Pass", "Output": "{%}", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output"},
		{"result of a Pass", machine(`"A": {"Type": "Pass", "Output": "{% $states.result %}", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Output"},
		{"result in Arguments", machine(task + `"Arguments": {"Payload": "{% $states.result %}"}}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Arguments/Payload"},
		{
			"result in Catch",
			machine(task + `"Catch": [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.result %}", "Next": "B"}]}, "B": {"Type": "Succeed"}`),
			"SCHEMA_VALIDATION_FAILED", "/States/A/Catch[0]/Output",
		},
		{"error outside of Catch", machine(task + `"Assign": {"x": "{% $exists($states.errorOutput.Error) %}"}}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Assign/x"},
		{
			"error in a choice",
			machine(`"A": {"Type": "Choice", "Choices": [{"Condition": "{% $states.errorOutput.Error = 'x' %}", "Next": "B"}]}, "B": {"Type": "Succeed"}`),
			"SCHEMA_VALIDATION_FAILED", "/States/A/Choices[0]/Condition",
		},
		{"wait until a word", machine(`"A": {"Type": "Wait", "Timestamp": "yesterday", "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Timestamp"},
		{"wait until a number", machine(`"A": {"Type": "Wait", "Timestamp": 5, "End": true}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Timestamp"},
		{"error that is a number", machine(`"A": {"Type": "Fail", "Error": 3}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Error"},
		{"cause that is an object", machine(`"A": {"Type": "Fail", "Cause": {"x": "{% 1 %}"}}`), "SCHEMA_VALIDATION_FAILED", "/States/A/Cause"},
		{"heartbeat after the timeout", machine(task + `"TimeoutSeconds": 5, "HeartbeatSeconds": 5}`), "SCHEMA_VALIDATION_FAILED", "/States/A/HeartbeatSeconds"},
		{
			"more than all may fail",
			machine(`"A": {"Type": "Map", "ToleratedFailurePercentage": 300, "Items": [], "End": true, "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}}`),
			"SCHEMA_VALIDATION_FAILED", "/States/A/ToleratedFailurePercentage",
		},
		{"reader without a key", machine(reader + `"Arguments": {"Bucket": "{% $b %}"}}}`), "SCHEMA_VALIDATION_FAILED", "/States/A/ItemReader/Arguments"},
		{"reader of a number", machine(reader + `"Arguments": {"Bucket": 1, "Key": "k"}}}`), "SCHEMA_VALIDATION_FAILED", "/States/A/ItemReader/Arguments/Bucket"},
		{
			"reader that reads no items",
			machine(reader + `"ReaderConfig": {"InputType": "JSON", "MaxItems": 0}, "Arguments": "{% $where %}"}}`),
			"SCHEMA_VALIDATION_FAILED", "/States/A/ItemReader/ReaderConfig/MaxItems",
		},
		{"duplicate name in a distributed Map", machine(`"A": {"Type": "Map", "Items": [], "End": true,
			"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "A", "States": {"A": {"Type": "Succeed"}}}}`),
			"DUPLICATE_STATE_NAME", "/States/A/ItemProcessor/States/A"},
		{
			"duplicate name",
			machine(`"A": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}]}`),
			"DUPLICATE_STATE_NAME", "/States/A/Branches[0]/States/A",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := asl.Parse(engine, []byte(tc.definition))
			found := asl.Diagnostics(err)
			if len(found) != 1 || found[0].Code != tc.code || found[0].Path != tc.path {
				t.Errorf("got %v, want %s at %s", err, tc.code, tc.path)
			}
		})
	}
}
