// Package access is what gives the workflow access to the clusters of a target
// account: the access role, and one EKS access entry per cluster that maps the
// role to the Kubernetes group "crossapply". What that group may do is for the
// cluster's RBAC to say ([RBAC]), or for an EKS access policy on the entry.
//
// The tour:
//
//   - [NewStacks] is an account's stacks, for `cdk deploy` with that account's
//     credentials: the role's, and one for each cluster. CloudFormation rolls a
//     stack back whole, so in one stack a cluster that is missing, or that takes
//     no access entries, would keep all others from theirs.
//   - [NewStackSets] is the StackSets of an organisation, which deploy
//     [NewRoleTemplate] and [NewEntriesTemplate]. Everything comes from the
//     configuration, so there is no parameter that could be given wrongly.
//   - What is deployed in target accounts has no assets, and the CDK's legacy
//     synthesizer deploys with the caller's own credentials, so no target account
//     or Region must be bootstrapped.
//
// The role trusts the hub account as far as the caller is one of the functions'
// roles, by condition on aws:PrincipalArn. Naming the roles as principals
// instead would store their unique ids: an access stack could only be deployed
// after the hub, and a hub that is deployed anew would be locked out of every
// account until each role is edited.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
package access
