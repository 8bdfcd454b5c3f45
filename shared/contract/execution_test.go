package contract_test

import (
	"testing"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
)

func TestParseExecution(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		machine, name, err := contract.ParseExecution("arn:" + partition + ":states:eu-west-1:111111111111:execution:crossapply:nightly-2026.1")
		if machine != "crossapply" || name != "nightly-2026.1" || err != nil {
			t.Errorf("%s: %q, %q, %v", partition, machine, name, err)
		}
	}
	refused := []string{
		"",
		"nightly",
		"arn:aws:states:eu-west-1:111111111111:stateMachine:crossapply",
		"arn:aws:states:eu-west-1:111111111111:stateMachine:crossapply:live",
		"arn:aws:states:eu-west-1:111111111111:execution:crossapply",
		"arn:aws:states:eu-west-1:111111111111:execution:crossapply:",
		"arn:aws:states:eu-west-1:111111111111:execution:crossapply:nightly/journal",
		"arn:aws:states:eu-west-1:111111111111:execution:crossapply/Target:5c1f",
		"arn:aws:states:eu-west-1:111111111111:express:crossapply:nightly:5c1f",
		"arn:aws:lambda:eu-west-1:111111111111:execution:crossapply:nightly",
	}
	for _, executionARN := range refused {
		if machine, name, err := contract.ParseExecution(executionARN); fault.NameOf(err) != fault.InvalidRequest || machine+name != "" {
			t.Errorf("%q: %q, %q, %v", executionARN, machine, name, err)
		}
	}
}
