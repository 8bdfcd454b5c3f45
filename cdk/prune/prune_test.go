package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

const (
	machine = "arn:aws-us-gov:states:us-gov-west-1:111111111111:stateMachine:crossapply"
	plan    = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:crossapply-plan"
	poll    = "arn:aws-us-gov:lambda:us-gov-west-1:111111111111:function:crossapply-poll"
)

// account has a state machine of six versions. Everything is listed one by one, on
// pages.
type account struct {
	States
	Functions
	// aliased are the versions that the alias points at, and running those of the
	// executions; "" is an execution that was started without one.
	aliased, running []string
	deleted          []string
}

// definitions are what the versions name of the functions: plan and poll. "" is
// the machine's own definition, and "started" that of an execution without version.
var definitions = map[string]string{"1": "1 1", "2": "2 1", "3": "3 1", "4": "4 2", "5": "4 3", "6": "5 3", "": "6 3", "started": "1 2"}

func definition(version string) *string {
	var a, b string
	_, _ = fmt.Sscan(definitions[version], &a, &b) // a table of this test
	return aws.String(fmt.Sprintf(`{"Plan": {"FunctionName": "%s:%s"}, "Poll": {"FunctionName": "{%% {'eu': '%s:%s'}.eu %%}"}}`, plan, a, poll, b))
}

// page returns one item of a list and the token of the next.
func page(items []string, token *string) (item []string, next *string) {
	at := 0
	_, _ = fmt.Sscan(aws.ToString(token), &at) // none is the first
	if at >= len(items) {
		return nil, nil
	}
	if at+1 < len(items) {
		next = aws.String(fmt.Sprint(at + 1))
	}
	return items[at : at+1], next
}

func (a *account) ListStateMachineVersions(_ context.Context, in *sfn.ListStateMachineVersionsInput, _ ...func(*sfn.Options)) (*sfn.ListStateMachineVersionsOutput, error) {
	items, next := page(strings.Fields("6 5 4 3 2 1"), in.NextToken)
	out := &sfn.ListStateMachineVersionsOutput{NextToken: next}
	for _, item := range items {
		out.StateMachineVersions = append(out.StateMachineVersions, types.StateMachineVersionListItem{StateMachineVersionArn: aws.String(*in.StateMachineArn + ":" + item)})
	}
	return out, nil
}

func (a *account) ListStateMachineAliases(_ context.Context, in *sfn.ListStateMachineAliasesInput, _ ...func(*sfn.Options)) (*sfn.ListStateMachineAliasesOutput, error) {
	items, next := page(a.aliased, in.NextToken)
	out := &sfn.ListStateMachineAliasesOutput{NextToken: next}
	for _, item := range items {
		out.StateMachineAliases = append(out.StateMachineAliases, types.StateMachineAliasListItem{StateMachineAliasArn: aws.String(*in.StateMachineArn + ":to-" + item)})
	}
	return out, nil
}

func (a *account) DescribeStateMachineAlias(_ context.Context, in *sfn.DescribeStateMachineAliasInput, _ ...func(*sfn.Options)) (*sfn.DescribeStateMachineAliasOutput, error) {
	version := strings.Replace(*in.StateMachineAliasArn, ":to-", ":", 1)
	return &sfn.DescribeStateMachineAliasOutput{RoutingConfiguration: []types.RoutingConfigurationListItem{{StateMachineVersionArn: &version, Weight: 100}}}, nil
}

func (a *account) ListExecutions(_ context.Context, in *sfn.ListExecutionsInput, _ ...func(*sfn.Options)) (*sfn.ListExecutionsOutput, error) {
	if in.StatusFilter != types.ExecutionStatusRunning {
		return nil, fmt.Errorf("asked for %s", in.StatusFilter)
	}
	items, next := page(a.running, in.NextToken)
	out := &sfn.ListExecutionsOutput{NextToken: next}
	for _, item := range items {
		execution := types.ExecutionListItem{ExecutionArn: aws.String("execution")}
		if item != "" {
			execution.StateMachineVersionArn = aws.String(*in.StateMachineArn + ":" + item)
		}
		out.Executions = append(out.Executions, execution)
	}
	return out, nil
}

func (a *account) DescribeStateMachine(_ context.Context, in *sfn.DescribeStateMachineInput, _ ...func(*sfn.Options)) (*sfn.DescribeStateMachineOutput, error) {
	return &sfn.DescribeStateMachineOutput{Definition: definition(strings.TrimPrefix(strings.TrimPrefix(*in.StateMachineArn, machine), ":"))}, nil
}

func (a *account) DescribeStateMachineForExecution(context.Context, *sfn.DescribeStateMachineForExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeStateMachineForExecutionOutput, error) {
	return &sfn.DescribeStateMachineForExecutionOutput{Definition: definition("started")}, nil
}

func (a *account) DeleteStateMachineVersion(_ context.Context, in *sfn.DeleteStateMachineVersionInput, _ ...func(*sfn.Options)) (*sfn.DeleteStateMachineVersionOutput, error) {
	a.deleted = append(a.deleted, *in.StateMachineVersionArn)
	return &sfn.DeleteStateMachineVersionOutput{}, nil
}

func (a *account) ListVersionsByFunction(_ context.Context, in *lambda.ListVersionsByFunctionInput, _ ...func(*lambda.Options)) (*lambda.ListVersionsByFunctionOutput, error) {
	items, next := page(strings.Fields("$LATEST 1 2 3 4 5 6 7"), in.Marker)
	out := &lambda.ListVersionsByFunctionOutput{NextMarker: next}
	for _, item := range items {
		out.Versions = append(out.Versions, lambdatypes.FunctionConfiguration{Version: aws.String(item)})
	}
	return out, nil
}

func (a *account) DeleteFunction(_ context.Context, in *lambda.DeleteFunctionInput, _ ...func(*lambda.Options)) (*lambda.DeleteFunctionOutput, error) {
	if in.Qualifier == nil {
		return nil, fmt.Errorf("the whole of %s is to be deleted", *in.FunctionName)
	}
	a.deleted = append(a.deleted, *in.FunctionName+":"+*in.Qualifier)
	return &lambda.DeleteFunctionOutput{}, nil
}

func TestPrune(t *testing.T) {
	tests := []struct {
		name    string
		aliased []string
		running []string
		keep    int
		// What goes, by version: of the state machine, of plan and of poll.
		machines, plans, polls string
	}{
		// 7 of the functions, and of poll all above 3, are newer than what is named.
		{"the newest stay", []string{"6"}, nil, 2, "4 3 2 1", "1 2 3", "1 2"},
		{"where the alias was moved back to stays", []string{"6", "2"}, nil, 2, "4 3 1", "1 3", "2"},
		{"what an execution runs stays", []string{"6"}, []string{"3", "3", "6"}, 1, "5 4 2 1", "1 2 4", "2"},
		{"so does what one without a version runs", []string{"6"}, []string{""}, 1, "5 4 3 2 1", "2 3 4", "1"},
		{"there are fewer than are to stay", []string{"6"}, nil, 10, "", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &account{aliased: tt.aliased, running: tt.running}
			p := pruner{states: a, functions: a}
			found, err := p.find(t.Context(), machine+":live", tt.keep)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.deleted) > 0 {
				t.Errorf("looking deletes %q", a.deleted)
			}
			var want []string
			for _, part := range []struct{ of, versions string }{{machine, tt.machines}, {plan, tt.plans}, {poll, tt.polls}} {
				for _, version := range strings.Fields(part.versions) {
					want = append(want, part.of+":"+version)
				}
			}
			if err := p.delete(t.Context(), found); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(a.deleted, want) {
				t.Errorf("deleted %q\nwant    %q", a.deleted, want)
			}
		})
	}
}
