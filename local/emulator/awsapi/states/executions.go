package states

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// execution is an execution with what it runs.
type execution struct {
	*asl.Execution
	version *version
	given   string // the input, as it was given
}

func (s *Service) startExecution(r *protocol.Request, in *sfn.StartExecutionInput) (*sfn.StartExecutionOutput, error) {
	arn, err := allowMachine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	name, input := aws.ToString(in.Name), aws.ToString(in.Input)
	if in.Name == nil {
		name = s.runner.NewID()
	}
	if in.Input == nil {
		input = "{}"
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := checkLength("input", input, asl.MaxPayload); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(input), new(any)); err != nil {
		return nil, fault("InvalidExecutionInput", "Invalid State Machine Execution Input: '%v'", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, err := s.machine(arn)
	if err != nil {
		return nil, err
	}
	return s.start(m.version, name, input)
}

// start runs a new execution, or finds the one that is the same. The lock must
// be held.
func (s *Service) start(v *version, name, input string) (*sfn.StartExecutionOutput, error) {
	arn := asl.ExecutionARN(v.machineARN, name)
	if old := s.executions[arn]; old != nil {
		if old.Status() == types.ExecutionStatusRunning && old.given == input {
			return &sfn.StartExecutionOutput{ExecutionArn: &old.ARN, StartDate: &old.StartDate}, nil
		}
		return nil, fault("ExecutionAlreadyExists", "Execution Already Exists: '%s'", arn)
	}
	if s.closed {
		return nil, fault("ServiceUnavailable", "the server is closing")
	}
	e, err := s.begin(v.parsed, asl.Start{
		MachineARN: v.machineARN, RoleARN: v.roleARN, Name: name, Input: json.RawMessage(input),
	})
	if err != nil {
		return nil, fault("InvalidExecutionInput", "Invalid State Machine Execution Input: '%v'", err)
	}
	s.add(&execution{Execution: e, version: v, given: input})
	return &sfn.StartExecutionOutput{ExecutionArn: &e.ARN, StartDate: &e.StartDate}, nil
}

// add makes an execution known. The lock must be held.
func (s *Service) add(e *execution) {
	s.executions[e.ARN] = e
	s.order = append(s.order, e)
}

// ExecutionStarting makes a Map's child known. The runner calls it.
func (s *Service) ExecutionStarting(child *asl.Execution) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parent := s.executions[child.MapRun.Execution.ARN]
	s.add(&execution{Execution: child, version: parent.version, given: string(child.Input)})
}

// execution finds an execution and checks that the caller may do the operation on it.
func (s *Service) execution(r *protocol.Request, arn *string) (*execution, error) {
	if err := checkARN(aws.ToString(arn), "execution"); err != nil {
		return nil, err
	}
	if err := r.Authorize(iam.Request{Resource: *arn}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.executions[*arn]; e != nil {
		return e, nil
	}
	return nil, fault("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", *arn)
}

func (s *Service) stopExecution(r *protocol.Request, in *sfn.StopExecutionInput) (*sfn.StopExecutionOutput, error) {
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	e.Stop(aws.ToString(in.Error), aws.ToString(in.Cause))
	if err := s.Wait(r.Context(), e.ARN); err != nil {
		return nil, err
	}
	return &sfn.StopExecutionOutput{StopDate: aws.Time(e.End().StopDate)}, nil
}

// Wait returns when an execution has ended, or with the error of ctx. An ARN that
// is not known is an error.
func (s *Service) Wait(ctx context.Context, arn string) error {
	s.mu.Lock()
	e := s.executions[arn]
	s.mu.Unlock()
	if e == nil {
		return fault("ExecutionDoesNotExist", "Execution Does Not Exist: '%s'", arn)
	}
	select {
	case <-e.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", arn, context.Cause(ctx))
	}
}

func (s *Service) describeExecution(r *protocol.Request, in *sfn.DescribeExecutionInput) (*sfn.DescribeExecutionOutput, error) {
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	end := e.End()
	included := &types.CloudWatchEventsExecutionDataDetails{Included: true}
	out := &sfn.DescribeExecutionOutput{
		ExecutionArn: &e.ARN, StateMachineArn: &e.MachineARN, Name: &e.Name, Status: end.Status, StartDate: &e.StartDate,
		Input: &e.given, InputDetails: included, RedriveCount: aws.Int32(0),
	}
	if e.MapRun != nil {
		out.MapRunArn = &e.MapRun.ARN
	}
	out.StopDate = ended(end.StopDate)
	out.Error, out.Cause = optional(end.Failure.Name), optional(end.Failure.Cause)
	out.RedriveStatus = types.ExecutionRedriveStatusNotRedrivable
	out.RedriveStatusReason = aws.String("Redrive is not supported here")
	if out.Status == types.ExecutionStatusSucceeded {
		out.Output, out.OutputDetails = aws.String(string(end.Output)), included
	}
	return out, nil
}

// ended is nil for what has not ended.
func ended(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (s *Service) describeStateMachineForExecution(r *protocol.Request, in *sfn.DescribeStateMachineForExecutionInput) (*sfn.DescribeStateMachineForExecutionOutput, error) {
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	v := e.version
	out := &sfn.DescribeStateMachineForExecutionOutput{
		StateMachineArn: &e.MachineARN, Name: &v.name, Definition: aws.String(e.Definition()), RoleArn: &v.roleARN,
		UpdateDate: &v.date, LoggingConfiguration: v.logging, TracingConfiguration: v.tracing, RevisionId: optional(v.revision),
	}
	if e.MapRun != nil {
		out.MapRunArn, out.Label = &e.MapRun.ARN, aws.String(e.MapRun.Label())
	}
	return out, nil
}

func (s *Service) listExecutions(r *protocol.Request, in *sfn.ListExecutionsInput) (*sfn.ListExecutionsOutput, error) {
	belongs, err := s.listed(r, in)
	if err != nil {
		return nil, err
	}
	size, err := pageSize(in.MaxResults)
	if err != nil {
		return nil, err
	}
	skip, err := positionOf(in.NextToken)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	order := slices.Clone(s.order)
	s.mu.Unlock()
	// Newest first. A token holds how many of the oldest are left, which later
	// starts do not change.
	i := len(order)
	if in.NextToken != nil {
		i = min(skip, i)
	}
	out := &sfn.ListExecutionsOutput{Executions: []types.ExecutionListItem{}}
	for i--; i >= 0; i-- {
		e := order[i]
		end := e.End()
		redriven := in.RedriveFilter == types.ExecutionRedriveFilterRedriven // nothing ever is
		if redriven || !belongs(e) || in.StatusFilter != "" && in.StatusFilter != end.Status {
			continue
		}
		if len(out.Executions) == size {
			out.NextToken = tokenFor(i + 1)
			break
		}
		out.Executions = append(out.Executions, listItem(e, end))
	}
	return out, nil
}

// listed says which executions a ListExecutions is about.
func (s *Service) listed(r *protocol.Request, in *sfn.ListExecutionsInput) (func(*execution) bool, error) {
	switch {
	case (in.StateMachineArn == nil) == (in.MapRunArn == nil):
		return nil, fault("ValidationException", "Exactly one of stateMachineArn and mapRunArn must be given")
	case in.MapRunArn != nil:
		run, err := s.mapRun(r, in.MapRunArn)
		return func(e *execution) bool { return e.MapRun == run }, err
	}
	arn, err := allowMachine(r, in.StateMachineArn)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err = s.machine(arn)
	return func(e *execution) bool { return e.MachineARN == arn }, err
}

func listItem(e *execution, end asl.End) types.ExecutionListItem {
	item := types.ExecutionListItem{
		ExecutionArn: &e.ARN, StateMachineArn: &e.MachineARN, Name: &e.Name, Status: end.Status,
		StartDate: &e.StartDate, RedriveCount: aws.Int32(0),
	}
	item.StopDate = ended(end.StopDate)
	if e.MapRun != nil {
		item.MapRunArn = &e.MapRun.ARN
	}
	return item
}

func (s *Service) getExecutionHistory(r *protocol.Request, in *sfn.GetExecutionHistoryInput) (*sfn.GetExecutionHistoryOutput, error) {
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	cut := page[types.HistoryEvent]
	if in.ReverseOrder {
		cut = lastPage[types.HistoryEvent]
	}
	events, next, err := cut(e.History(), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	if in.IncludeExecutionData != nil && !*in.IncludeExecutionData {
		for i := range events {
			events[i] = withoutData(events[i])
		}
	}
	return &sfn.GetExecutionHistoryOutput{Events: events, NextToken: next}, nil
}

// withoutData leaves inputs and outputs out of a copy of the event.
func withoutData(ev types.HistoryEvent) types.HistoryEvent {
	if d := ev.ExecutionStartedEventDetails; d != nil {
		c := *d
		c.Input, ev.ExecutionStartedEventDetails = nil, &c
	}
	if d := ev.ExecutionSucceededEventDetails; d != nil {
		c := *d
		c.Output, ev.ExecutionSucceededEventDetails = nil, &c
	}
	if d := ev.StateEnteredEventDetails; d != nil {
		c := *d
		c.Input, ev.StateEnteredEventDetails = nil, &c
	}
	if d := ev.StateExitedEventDetails; d != nil {
		c := *d
		c.Output, c.AssignedVariables, ev.StateExitedEventDetails = nil, nil, &c
	}
	if d := ev.TaskScheduledEventDetails; d != nil {
		c := *d
		c.Parameters, ev.TaskScheduledEventDetails = nil, &c
	}
	if d := ev.TaskSubmittedEventDetails; d != nil {
		c := *d
		c.Output, ev.TaskSubmittedEventDetails = nil, &c
	}
	if d := ev.TaskSucceededEventDetails; d != nil {
		c := *d
		c.Output, ev.TaskSucceededEventDetails = nil, &c
	}
	if d := ev.LambdaFunctionScheduledEventDetails; d != nil {
		c := *d
		c.Input, ev.LambdaFunctionScheduledEventDetails = nil, &c
	}
	if d := ev.LambdaFunctionSucceededEventDetails; d != nil {
		c := *d
		c.Output, ev.LambdaFunctionSucceededEventDetails = nil, &c
	}
	return ev
}
