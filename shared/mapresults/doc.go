// Package mapresults reads what the ResultWriter of a Distributed Map wrote: a
// manifest, and files of entries, one for each child execution. An entry says how its
// child ended, in Step Functions' words; here they become those of the answer.
//
// Whatever cannot be read costs what it is about, and no more.
// https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
package mapresults
