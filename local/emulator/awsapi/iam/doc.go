// Package iam is AWS's identity and access management as far as a request can
// feel it: accounts, users with access keys, roles, temporary sessions, and the
// evaluation of JSON policy documents.
//
// The tour:
//
//   - [Directory] holds who exists, over several accounts. [Directory.PutUser]
//     and [Directory.PutRole] take policies as JSON documents and refuse one
//     they do not understand whole: an operator or element that is unknown here
//     is an error that names it, never ignored.
//   - [Directory.Credential] finds the secret behind an access key id, for the
//     check of a signature; it yields the [Caller].
//   - [Directory.Authorize] answers whether a caller may do an action on a
//     resource, following AWS's evaluation logic: an explicit deny wins; inside
//     one account the identity policy or the resource's policy must allow;
//     between accounts both must.
//   - [Directory.AssumeRole] and [Directory.AssumeRoleForService] check the
//     trust policy and make a session that expires.
//   - An account lies in one partition of AWS: what is in it has ARNs of that one,
//     its policies name no other, and no role is assumed from another.
//
// Rules are those of the IAM User Guide, "Policy evaluation logic" and "IAM
// JSON policy elements reference".
package iam
