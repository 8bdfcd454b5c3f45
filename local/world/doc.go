// Package world puts the whole workflow on one machine: real Kubernetes API
// servers in place of EKS clusters, the AWS endpoints of package awsapi on one
// port, the function binaries behind its Lambda endpoint, and the state machine
// of package statemachine, created through its Step Functions endpoint as a
// deployment would.
//
// There is a hub account with the workflow, and target accounts with an access
// role and clusters each. Who may do what is laid down as in a deployment: IAM
// and RBAC mistakes fail here as they would in AWS. Clusters with something
// wrong with them are there for the asking: see [Cluster].
package world
