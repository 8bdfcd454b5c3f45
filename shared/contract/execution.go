package contract

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/crossapply/crossapply/shared/fault"
)

// ParseExecution returns the names of the state machine and of the execution in an
// execution's ARN,
// arn:<partition>:states:<region>:<account>:execution:<state machine>:<name>.
// Any other ARN is refused, also that of a target's child execution, whose state
// machine is <state machine>/<label of the Map>: it has no prefix of its own.
func ParseExecution(executionARN string) (machine, name string, err error) {
	parsed, err := arn.Parse(executionARN)
	if err != nil {
		return "", "", fault.Wrap(err, fault.InvalidRequest, "%q is not an ARN", executionARN)
	}
	parts := strings.Split(parsed.Resource, ":")
	if parsed.Service != "states" || len(parts) != 3 || parts[0] != "execution" || parts[1] == "" || parts[2] == "" || strings.Contains(parts[2], "/") {
		return "", "", fault.New(fault.InvalidRequest, "%q is not the ARN of an execution", executionARN)
	}
	if strings.Contains(parts[1], "/") {
		return "", "", fault.New(fault.InvalidRequest, "%q is the child execution of one target: give the ARN of the execution that started it", executionARN)
	}
	return parts[1], parts[2], nil
}
