// Package sts serves AWS Security Token Service: AssumeRole, which checks trust
// policies and external ids, and GetCallerIdentity, whose presigned form is the
// bearer token of EKS. It speaks the query protocol in XML, and in JSON to a
// client that accepts only that, as the token check of EKS does.
//
// Other operations and parameters are refused by name.
package sts
