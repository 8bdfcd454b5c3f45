package awsapi_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
)

// A user of one account assumes a role of another, which asks for an external id.
func Example() {
	user := iam.User{
		Account: "111111111111", Name: "deployer", AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "secret",
		Policies: []string{`{"Version":"2012-10-17","Statement":{
			"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/crossapply-access"}}`},
	}
	server, err := awsapi.Start(awsapi.Config{
		Accounts: []iam.Account{{ID: "111111111111"}, {ID: "222222222222"}},
		Users:    []iam.User{user},
		Roles: []iam.Role{{Account: "222222222222", Name: "crossapply-access", Trust: `{"Version":"2012-10-17","Statement":{
			"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"sts:AssumeRole",
			"Condition":{"StringEquals":{"sts:ExternalId":"tenant-7"}}}}`}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()

	client := sts.NewFromConfig(server.UserConfig(user, "eu-west-1"))
	session, err := client.AssumeRole(context.Background(), &sts.AssumeRoleInput{
		RoleArn:         aws.String("arn:aws:iam::222222222222:role/crossapply-access"),
		RoleSessionName: aws.String("rollout-1"),
		ExternalId:      aws.String("tenant-7"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*session.AssumedRoleUser.Arn)
	// Output: arn:aws:sts::222222222222:assumed-role/crossapply-access/rollout-1
}
