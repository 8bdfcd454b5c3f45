// Package edge is the outermost line of every function: it reads the event,
// gives the log its fixed fields, calls the handler, and turns whatever error
// comes back into the one form that keeps its name on the way through the
// Lambda runtime to Step Functions.
package edge
