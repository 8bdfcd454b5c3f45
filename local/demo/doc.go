// Package demo starts an execution in the local world and shows it to a person:
// live, a line for each target and for the rollout with its stage and time, and at the
// end a table of how every target ended. All it knows comes from the Step Functions and
// S3 APIs, so what it shows is what the console would.
package demo
