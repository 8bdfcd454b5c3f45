package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"
)

// States is what prune needs of Step Functions; *sfn.Client is one.
type States interface {
	sfn.ListExecutionsAPIClient
	ListStateMachineVersions(context.Context, *sfn.ListStateMachineVersionsInput, ...func(*sfn.Options)) (*sfn.ListStateMachineVersionsOutput, error)
	ListStateMachineAliases(context.Context, *sfn.ListStateMachineAliasesInput, ...func(*sfn.Options)) (*sfn.ListStateMachineAliasesOutput, error)
	DescribeStateMachineAlias(context.Context, *sfn.DescribeStateMachineAliasInput, ...func(*sfn.Options)) (*sfn.DescribeStateMachineAliasOutput, error)
	DescribeStateMachine(context.Context, *sfn.DescribeStateMachineInput, ...func(*sfn.Options)) (*sfn.DescribeStateMachineOutput, error)
	DescribeStateMachineForExecution(context.Context, *sfn.DescribeStateMachineForExecutionInput, ...func(*sfn.Options)) (*sfn.DescribeStateMachineForExecutionOutput, error)
	DeleteStateMachineVersion(context.Context, *sfn.DeleteStateMachineVersionInput, ...func(*sfn.Options)) (*sfn.DeleteStateMachineVersionOutput, error)
}

// Functions is what prune needs of Lambda; *lambda.Client is one.
type Functions interface {
	lambda.ListVersionsByFunctionAPIClient
	DeleteFunction(context.Context, *lambda.DeleteFunctionInput, ...func(*lambda.Options)) (*lambda.DeleteFunctionOutput, error)
}

type pruner struct {
	states    States
	functions Functions
}

// old are the ARNs of the versions that may go.
type old struct{ machines, functions []string }

func (o old) all() []string { return slices.Concat(o.machines, o.functions) }

// find returns what may go. Of the state machine stay the newest versions, those
// that an alias points at, and those that an execution runs; of each function the
// versions that a definition which stays names, and any newer ones, which a
// deployment may be about to name.
func (p pruner) find(ctx context.Context, machine string, keep int) (old, error) {
	machine = unqualified(machine)
	versions, err := p.versions(ctx, machine)
	if err != nil {
		return old{}, err
	}
	staying, err := p.aliased(ctx, machine)
	if err != nil {
		return old{}, err
	}
	// They are listed with the newest first.
	// https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListStateMachineVersions.html
	staying = append(staying, versions[:min(keep, len(versions))]...)
	running, definitions, err := p.running(ctx, machine)
	if err != nil {
		return old{}, err
	}
	staying = append(staying, running...)
	slices.Sort(staying)
	staying = slices.Compact(staying)
	// The machine's own definition is what the next version will be.
	for _, version := range append(staying, machine) {
		out, err := p.states.DescribeStateMachine(ctx, &sfn.DescribeStateMachineInput{StateMachineArn: aws.String(version)})
		if err != nil {
			return old{}, fmt.Errorf("describe %s: %w", version, err)
		}
		definitions = append(definitions, aws.ToString(out.Definition))
	}
	found := old{machines: slices.DeleteFunc(versions, func(v string) bool { return slices.Contains(staying, v) })}
	found.functions, err = p.oldFunctions(ctx, definitions)
	return found, err
}

// unqualified returns a state machine's own ARN, of that or of an alias's or a
// version's: arn:<partition>:states:<region>:<account>:stateMachine:<name>[:<qualifier>].
func unqualified(machine string) string {
	parts := strings.Split(machine, ":")
	return strings.Join(parts[:min(7, len(parts))], ":")
}

func (p pruner) versions(ctx context.Context, machine string) ([]string, error) {
	var all []string
	in := &sfn.ListStateMachineVersionsInput{StateMachineArn: aws.String(machine)}
	for {
		out, err := p.states.ListStateMachineVersions(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list the versions of %s: %w", machine, err)
		}
		for _, version := range out.StateMachineVersions {
			all = append(all, aws.ToString(version.StateMachineVersionArn))
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all, nil
		}
	}
}

// aliased returns the versions that aliases point at.
func (p pruner) aliased(ctx context.Context, machine string) ([]string, error) {
	var all []string
	in := &sfn.ListStateMachineAliasesInput{StateMachineArn: aws.String(machine)}
	for {
		out, err := p.states.ListStateMachineAliases(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list the aliases of %s: %w", machine, err)
		}
		for _, alias := range out.StateMachineAliases {
			described, err := p.states.DescribeStateMachineAlias(ctx, &sfn.DescribeStateMachineAliasInput{StateMachineAliasArn: alias.StateMachineAliasArn})
			if err != nil {
				return nil, fmt.Errorf("describe %s: %w", aws.ToString(alias.StateMachineAliasArn), err)
			}
			for _, route := range described.RoutingConfiguration {
				all = append(all, aws.ToString(route.StateMachineVersionArn))
			}
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return all, nil
		}
	}
}

// running returns the versions that executions run, and the definitions of those
// executions that were started without one.
func (p pruner) running(ctx context.Context, machine string) (versions, definitions []string, err error) {
	pages := sfn.NewListExecutionsPaginator(p.states, &sfn.ListExecutionsInput{
		StateMachineArn: aws.String(machine), StatusFilter: types.ExecutionStatusRunning})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("list the executions of %s: %w", machine, err)
		}
		for _, execution := range page.Executions {
			if execution.StateMachineVersionArn != nil {
				versions = append(versions, *execution.StateMachineVersionArn)
				continue
			}
			out, err := p.states.DescribeStateMachineForExecution(ctx, &sfn.DescribeStateMachineForExecutionInput{ExecutionArn: execution.ExecutionArn})
			if err != nil {
				return nil, nil, fmt.Errorf("describe the state machine of %s: %w", aws.ToString(execution.ExecutionArn), err)
			}
			definitions = append(definitions, aws.ToString(out.Definition))
		}
	}
	return versions, definitions, nil
}

var functionVersion = regexp.MustCompile(`(arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+):([0-9]+)`)

// oldFunctions returns the versions of the functions that the definitions name,
// but for the versions that they name and newer ones.
func (p pruner) oldFunctions(ctx context.Context, definitions []string) ([]string, error) {
	named, newest := map[string]bool{}, map[string]int{}
	for _, definition := range definitions {
		for _, match := range functionVersion.FindAllStringSubmatch(definition, -1) {
			number, err := strconv.Atoi(match[2])
			if err != nil {
				return nil, fmt.Errorf("the version of %s: %w", match[0], err)
			}
			named[match[0]], newest[match[1]] = true, max(newest[match[1]], number)
		}
	}
	var found []string
	for function, newest := range newest {
		pages := lambda.NewListVersionsByFunctionPaginator(p.functions, &lambda.ListVersionsByFunctionInput{FunctionName: aws.String(function)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return nil, fmt.Errorf("list the versions of %s: %w", function, err)
			}
			for _, version := range page.Versions {
				number, err := strconv.Atoi(aws.ToString(version.Version))
				if err != nil {
					continue // $LATEST
				}
				if versionARN := fmt.Sprintf("%s:%d", function, number); number < newest && !named[versionARN] {
					found = append(found, versionARN)
				}
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// delete deletes what was found: the state machine's versions first, so that none
// is left that names a function's version which is gone.
func (p pruner) delete(ctx context.Context, found old) error {
	for _, version := range found.machines {
		if _, err := p.states.DeleteStateMachineVersion(ctx, &sfn.DeleteStateMachineVersionInput{StateMachineVersionArn: aws.String(version)}); err != nil {
			return fmt.Errorf("delete %s: %w", version, err)
		}
	}
	for _, version := range found.functions {
		colon := strings.LastIndex(version, ":")
		in := &lambda.DeleteFunctionInput{FunctionName: aws.String(version[:colon]), Qualifier: aws.String(version[colon+1:])}
		if _, err := p.functions.DeleteFunction(ctx, in); err != nil {
			return fmt.Errorf("delete %s: %w", version, err)
		}
	}
	return nil
}
