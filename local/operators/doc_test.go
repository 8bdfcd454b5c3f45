// Package operators_test runs the workflow against real operators, each built from
// its own module: `make test-operators`. They take minutes to build, so `make test`
// leaves them out; the stand-in of package operator is what it uses.
package operators_test
