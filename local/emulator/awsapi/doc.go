// Package awsapi is AWS on one local port: STS, EKS, S3, Lambda, EventBridge and
// Organizations, and whatever else is mounted, with the true wire protocols, several accounts, real
// signatures and IAM. Any SDK and the AWS CLI work against it when
// AWS_ENDPOINT_URL is [Server.URL]; a mistake in a policy fails as on AWS.
//
// The tour:
//
//   - [Start] opens the port and fills it from a [Config]: accounts, users,
//     roles, buckets, clusters, functions, buses, organizations. All of them can be changed later
//     through the services the server exposes.
//   - A request is routed by the service in its credential scope, its signature
//     is checked (package sigv4), its caller is known (package iam), and the
//     service's operation answers (package protocol): packages sts, eks, s3,
//     lambda, events, organizations.
//   - Accounts may lie in several partitions: ARNs have that of their Region (package
//     partition), and keys are unknown in the Regions of another.
//   - [Server.Mount] adds a service, such as Step Functions (package states).
//   - A test can kill a function around one of its calls: see OnCall in package
//     lambda, and [Server.InterceptKubernetes] for requests to API servers.
//   - [Server.Calls] counts the requests per account, service and operation.
//
// Requests for a real host name, such as sts.eu-west-1.amazonaws.com, may be
// forwarded here: the signature is checked against the Host they name.
package awsapi
