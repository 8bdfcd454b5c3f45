package world

import (
	"fmt"

	"github.com/crossapply/crossapply/local/awsapi/iam"
	"github.com/crossapply/crossapply/shared/eksauth"
)

// engineer is a person with all rights in one account. The keys are those of a
// pretend world and open nothing else.
func engineer(account string) iam.User {
	return iam.User{
		Account: account, Name: "engineer",
		AccessKeyID: "AKIALOCL" + account, SecretAccessKey: "local-secret-of-" + account,
		Policies: []string{policy(allow("*", "*"))},
	}
}

// hubRoles returns the roles of the hub account: one per function, and the state
// machine's.
func hubRoles(accounts []string) []iam.Role {
	var access []string
	for _, account := range accounts {
		access = append(access, eksauth.AccessRole{Partition: "aws", Name: accessRoleName}.ARN(account))
	}
	var roles []iam.Role
	var invoked []string
	for _, f := range hubFunctions {
		statements := f.s3
		if f.assumes {
			statements = append(statements, allow("sts:AssumeRole", access...))
		}
		roles = append(roles, iam.Role{
			Account: HubAccount, Name: "crossapply-" + f.name,
			Trust: trustService("lambda.amazonaws.com"), Policies: []string{policy(statements...)},
		})
		invoked = append(invoked, f.arn())
	}
	machine := fmt.Sprintf("arn:aws:states:%s:%s:stateMachine:%s", HubRegion, HubAccount, machineName)
	children := fmt.Sprintf("arn:aws:states:%s:%s:execution:%s/Target:*", HubRegion, HubAccount, machineName)
	return append(roles, iam.Role{
		Account: HubAccount, Name: workflowRole, Trust: trustService("states.amazonaws.com"),
		Policies: []string{policy(
			allow("lambda:InvokeFunction", invoked...),
			allow("states:StartExecution", machine),
			allow("states:DescribeExecution", children),
			allow("states:StopExecution", children),
			allow("s3:GetObject", objects("runs/*/targets.json"), objects("runs/*/results/*")),
			allow("s3:PutObject", objects("runs/*/results/*")),
		)},
	})
}

func trustService(service string) string {
	return policy(statement{"Effect": "Allow", "Principal": map[string]any{"Service": service}, "Action": "sts:AssumeRole"})
}

// accessRole is what the access stack puts into a target account: it trusts only
// the hub's function roles, with the external id, and may describe clusters.
func accessRole(account, externalID string) iam.Role {
	var trusted []string
	for _, f := range hubFunctions {
		if f.assumes {
			trusted = append(trusted, f.roleARN())
		}
	}
	return iam.Role{
		Account: account, Name: accessRoleName,
		Trust: policy(statement{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"AWS": trusted},
			"Condition": map[string]any{"StringEquals": map[string]any{"sts:ExternalId": externalID}},
		}),
		Policies: []string{policy(allow("eks:DescribeCluster", fmt.Sprintf("arn:aws:eks:*:%s:cluster/*", account)))},
	}
}
