// Package eks serves the part of Amazon EKS's API that reads clusters:
// DescribeCluster and ListClusters, per account and Region. Which clusters there
// are is said in Go, with [Service.Put] and [Service.Delete], at any time.
//
// As on EKS a cluster's endpoint and certificate authority are absent until it
// is ACTIVE.
package eks
