// Package sigv4 checks AWS Signature Version 4 on the server's side.
//
// [Parse] reads what a request says about its signature, from the
// Authorization header or from the query of a presigned URL; that is enough to
// know which service and region it means. [Verifier.Verify] computes the
// signature again from the request as it arrived, with the secret that belongs
// to the access key, and compares in constant time. The Host in the signature
// is the request's own Host header, so a request for sts.eu-west-1.amazonaws.com
// that was forwarded here still verifies.
//
// The computation follows the specification rather than an SDK's signer: a
// client decides which headers it signs, and a signer would decide again.
//
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
package sigv4
