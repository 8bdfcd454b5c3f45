// Package contract holds what crosses the workflow's borders: the request that
// people write ([Request]), the answer that they read ([Answer]), and the inputs
// and outputs of the five functions.
//
// Every name in them is documented here once, on its Go field: the references
// docs/request.md and docs/answer.md are written from there. No field ever
// carries a token or a credential: all of them can be read in the execution's
// history.
package contract
