// Package jsonata evaluates JSONata expressions as AWS Step Functions does.
//
// The language is not implemented here. The package runs the reference
// implementation, the npm module "jsonata", inside a JavaScript engine written
// in Go: other ports differ in what becomes of empty arrays and of sequences
// with one element. shim.js beside this file adds the functions that Step
// Functions adds ($parse, $partition, $range, $hash, $random, $uuid) and takes
// away the one that it removes ($eval).
//
// Find the module with [Locate], make an [Engine] of it with [New], and open a
// [Session] for each group of expressions that see the same variables:
//
//	module, err := jsonata.Locate(".")
//	engine, err := jsonata.New(module, jsonata.Options{})
//	session := engine.Session(variables, jsonata.Object{{"input", input}})
//	defer session.Close()
//	out, err := session.Eval(ctx, "$states.input.total * 2")
//
// The language and the changes are described at
// https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html.
package jsonata
