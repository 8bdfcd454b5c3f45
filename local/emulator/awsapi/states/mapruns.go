package states

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// errStepFunctions is the name of errors of Step Functions itself that its API
// has no type for, such as a denied access.
const errStepFunctions = "StepFunctions.AWSStepFunctionsException"

// MapRunStarting checks that the machine's role may start the children: each
// is an execution of the machine. The runner calls it.
// https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
func (s *Service) MapRunStarting(_ context.Context, run *asl.MapRun) error {
	s.mu.Lock()
	v := s.executions[run.Execution.ARN].version
	s.mu.Unlock()
	role, err := s.directory.RoleCaller(v.roleARN)
	if err == nil {
		err = s.directory.Authorize(iam.Request{Caller: role, Action: "states:StartExecution", Resource: v.machineARN})
	}
	if err != nil {
		return &asl.Error{Name: errStepFunctions, Cause: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mapRuns[run.ARN] = run
	return nil
}

func (s *Service) mapRun(r *protocol.Request, arn *string) (*asl.MapRun, error) {
	if err := checkARN(aws.ToString(arn), "mapRun"); err != nil {
		return nil, err
	}
	if err := r.Authorize(iam.Request{Resource: *arn}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if run := s.mapRuns[*arn]; run != nil {
		return run, nil
	}
	return nil, fault("ResourceNotFound", "Resource not found: '%s'", *arn)
}

func (s *Service) describeMapRun(r *protocol.Request, in *sfn.DescribeMapRunInput) (*sfn.DescribeMapRunOutput, error) {
	run, err := s.mapRun(r, in.MapRunArn)
	if err != nil {
		return nil, err
	}
	counts := run.Counts()
	// Without an ItemBatcher each item has an execution of its own.
	items := types.MapRunItemCounts(counts)
	status, stop := run.Status()
	return &sfn.DescribeMapRunOutput{
		MapRunArn: &run.ARN, ExecutionArn: &run.Execution.ARN, Status: status,
		StartDate: &run.StartDate, StopDate: ended(stop), MaxConcurrency: int32(run.MaxConcurrency),
		ToleratedFailureCount: run.ToleratedFailureCount, ToleratedFailurePercentage: float32(run.ToleratedFailurePercentage),
		ExecutionCounts: &counts, ItemCounts: &items, RedriveCount: aws.Int32(0),
	}, nil
}

func (s *Service) listMapRuns(r *protocol.Request, in *sfn.ListMapRunsInput) (*sfn.ListMapRunsOutput, error) {
	e, err := s.execution(r, in.ExecutionArn)
	if err != nil {
		return nil, err
	}
	all := []types.MapRunListItem{}
	for _, run := range e.MapRuns() {
		_, stop := run.Status()
		all = append(all, types.MapRunListItem{
			MapRunArn: &run.ARN, ExecutionArn: &e.ARN, StateMachineArn: &run.MachineARN,
			StartDate: &run.StartDate, StopDate: ended(stop),
		})
	}
	runs, next, err := page(all, in.MaxResults, in.NextToken)
	return &sfn.ListMapRunsOutput{MapRuns: runs, NextToken: next}, err
}
