package eksauth

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/crossapply/crossapply/shared/awsenv"
)

// FromEnv returns the Authenticator of a function: the access role comes from
// the function's environment.
func FromEnv(config aws.Config, now func() time.Time) (*Authenticator, error) {
	env, err := awsenv.Require(awsenv.Partition, awsenv.AccessRoleName, awsenv.ExternalID)
	if err != nil {
		return nil, err
	}
	role := AccessRole{Partition: env[0], Name: env[1], ExternalID: env[2]}
	return New(role, sts.NewFromConfig(config), now), nil
}
