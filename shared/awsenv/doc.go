// Package awsenv gives a function its AWS configuration from what Lambda puts
// in the environment, and nothing else.
//
// The SDK's own loader (aws-sdk-go-v2/config) also reads shared files, SSO
// sessions and the instance metadata service. None of them exists in a Lambda
// sandbox, and leaving them out makes each binary smaller and its cold start
// shorter; docs/decisions.md has the measurements.
package awsenv
