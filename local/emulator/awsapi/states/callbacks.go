package states

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/crossapply/crossapply/local/emulator/asl"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

// callback finds who waits for the answer to a token, and checks that the caller may
// give it. The service authorization reference knows no resource for that, but AWS was
// seen to ask for the state machine, and policies that name it to hold:
// https://github.com/NOAA-OWP/hydrovis/issues/837, https://github.com/aws/aws-cdk/pull/8486
func (s *Service) callback(r *protocol.Request, token *string) (*asl.Callback, error) {
	c := s.runner.Callback(aws.ToString(token))
	switch {
	case c == nil && asl.IsToken(aws.ToString(token)):
		return nil, fault("TaskDoesNotExist", "Task does not exist")
	case c == nil:
		return nil, fault("InvalidToken", "Invalid Token: 'Invalid token'")
	}
	return c, r.Authorize(iam.Request{Resource: c.MachineARN})
}

// answered is the error of an answer that was not taken: it came too late.
func answered(taken bool) error {
	if taken {
		return nil
	}
	return fault("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
}

func (s *Service) sendTaskSuccess(r *protocol.Request, in *sfn.SendTaskSuccessInput) (*sfn.SendTaskSuccessOutput, error) {
	c, err := s.callback(r, in.TaskToken)
	if err != nil {
		return nil, err
	}
	output := aws.ToString(in.Output)
	if err := checkLength("output", output, asl.MaxPayload); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(output), new(any)); err != nil {
		return nil, fault("InvalidOutput", "Invalid Output: '%v'", err)
	}
	return &sfn.SendTaskSuccessOutput{}, answered(c.Succeed(json.RawMessage(output)))
}

func (s *Service) sendTaskFailure(r *protocol.Request, in *sfn.SendTaskFailureInput) (*sfn.SendTaskFailureOutput, error) {
	c, err := s.callback(r, in.TaskToken)
	if err != nil {
		return nil, err
	}
	name, cause := aws.ToString(in.Error), aws.ToString(in.Cause)
	if err := checkLength("error", name, 256); err != nil {
		return nil, err
	}
	if err := checkLength("cause", cause, 32768); err != nil {
		return nil, err
	}
	return &sfn.SendTaskFailureOutput{}, answered(c.Fail(name, cause))
}

func (s *Service) sendTaskHeartbeat(r *protocol.Request, in *sfn.SendTaskHeartbeatInput) (*sfn.SendTaskHeartbeatOutput, error) {
	c, err := s.callback(r, in.TaskToken)
	if err != nil {
		return nil, err
	}
	return &sfn.SendTaskHeartbeatOutput{}, answered(c.Heartbeat())
}

func checkLength(member, value string, limit int) error {
	if len(value) <= limit {
		return nil
	}
	return fault("ValidationException", "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must have length less than or equal to %d", member, limit)
}
