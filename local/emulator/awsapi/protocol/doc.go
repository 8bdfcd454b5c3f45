// Package protocol writes errors the way each AWS wire protocol spells them,
// so that an SDK finds the code it looks for and prints the message it was
// given.
//
// A service returns an [Error] (a code, a message, an HTTP status) and its
// [Protocol] gives it the right form:
//
//   - [Query]: XML of STS, or JSON where the client accepts only that
//   - [RESTXML]: S3
//   - [RESTJSON]: EKS and Lambda, with the code in X-Amzn-ErrorType
//   - [JSON]: Step Functions, with the code in __type
package protocol
