// Package eksauth gives functions the credentials of a target account's access
// role, and the bearer token that an EKS cluster takes for them.
//
// A token is a presigned call of STS GetCallerIdentity that the cluster makes
// to learn who is asking; sigs.k8s.io/aws-iam-authenticator, which runs behind
// EKS, defines its form. It is minted here by every function that needs one and
// kept in the warm sandbox until it nears its end. Neither tokens nor
// credentials ever leave the process other than to STS, EKS and the cluster.
package eksauth
