// Package access is the stack that gives the workflow access to the clusters of
// a target account: the access role, and one EKS access entry per cluster that
// maps the role to the Kubernetes group "crossapply". What that group may do is
// for the cluster's RBAC to say ([RBAC]).
//
// The tour:
//
//   - [NewStack] is the stack of one account in one Region, for `cdk deploy`
//     with that account's credentials.
//   - [NewTemplate] is several of them in one template, where conditions pick
//     what belongs to the account and Region it is deployed to: all for
//     StackSets, and those of an account for a team that deploys without the CDK
//     and that the others are no business of. Everything comes from the
//     configuration, so there is no parameter that could be given wrongly.
//   - Neither has assets, and the CDK's legacy synthesizer deploys with the
//     caller's own credentials, so no account or Region must be bootstrapped.
//
// The role trusts the hub account as far as the caller is one of the functions'
// roles, by condition on aws:PrincipalArn. Naming the roles as principals
// instead would store their unique ids: an access stack could only be deployed
// after the hub, and a hub that is deployed anew would be locked out of every
// account until each role is edited.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
package access
