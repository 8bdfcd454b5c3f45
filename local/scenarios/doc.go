// Package scenarios tells what the workflow does, one behaviour a file: the scripts in
// testdata are its documentation by example, and its test. Each is a txtar archive,
// run by [testscript] in the local world: it begins with what it shows, goes on with
// what is done and what must come of it, and ends with the files that these lines name.
//
// All scripts share a world with the fleet of fleet_test.go: clusters of development
// (dev-1 to dev-8), staging (stage-1 to stage-6), a shop (shop-1 to shop-6) and payments
// (pay-1 to pay-4), and some with a fault. They run beside each other, so each works on
// objects of its own name: $TOPIC, the name of the script. Variables are expanded in
// files too: also $DEV, $STAGE, $SHOP, $PAY, $ACQUIRED, $VAULT and $SUSPENDED, the ids of
// the accounts, and $NONPROD and $PROD, those of organizational units.
//
// Operators are the stand-in of package operator: an annotation of a Topic chooses its
// behaviour, and example.com/delay how long it takes. Pauses of the state machine are
// shortened, but for a wait until a time.
//
// # Executions
//
//	start [-nowait] <request>     starts an execution, and waits for its end. Its ARN is $EXECUTION and, if
//	                              it is the second of the script, $EXECUTION_2
//	ended                         waits for the end of one that was not waited for
//	error <name> [<text>]         the error, not an answer, that the execution failed with
//	answer <file>                 its answer
//	outcomes <file>               how each target ended: a line "<clusters> <outcome> [<error>]" for
//	                              each in the report; the first that fits counts, and each must fit some
//	results <file>                what the report says of clusters, by name
//	route [-target <cluster>] <file>
//	                              the states that it entered, or that the children for a target did
//	events <file>                 the events that it sent, in order
//	report                        has the function report on it, as a person would
//
// "! start" and "! ended" expect that it fails. An answer, a result, an event or an
// object fits a file in YAML where it holds what the file does, maybe among other
// fields; a list must have all items. null means that a field is not there, and a
// string that begins with ~ is a regular expression.
//
// # What people and others do meanwhile
//
//	approve yes|no [<message>] [as <person>]
//	                              waits until the execution asks, and answers as somebody with a managed
//	                              policy of the deployment: approver (the default), caller or reader; with !
//	                              that one may not
//	began                         waits until the event says that the execution has begun
//	phase <wave> [<kind>]         waits until the event says that a phase has ended
//	stopmark, abort               writes the stop mark; StopExecution
//	dies <function> before|after <service:operation> [on <cluster>] [always]
//	                              the function is killed at that call of the next execution
//	deaf                          EventBridge takes no event of the next execution
//	gone <cluster>                EKS no longer has the cluster
//	upload <file>                 puts it to inputs/$TOPIC/<file>, and its digest into $SHA256
//
// # Objects on clusters
//
//	apply <clusters> <file> [as <manager>]  by another field manager, which takes over what conflicts
//	status <clusters> <file>      applies the status, as an operator would
//	delete <clusters> <file>      deletes the object
//	await <clusters> <file>       waits until the object fits
//	object <clusters> <file>      the object fits; with ! there is none
//	snapshot <clusters> <file>    remembers spec, labels, annotations and the owners of fields
//	same <clusters>               all snapshots are as they were, to the byte
//
// # What the records of the API servers must show
//
//	untouched <clusters>          no request came from the execution
//	concurrency <most>            no more targets were under way at once, and more than one were where that is allowed
//	order [-bake <duration>] <wave>...  no target began before all of the wave before had become Ready
//	opens <duration>              sets $FROM and $TO, times of day of a window that opens at least that much later, and $OPENS
//	after <time> <wave>           no target of the wave began before
//
// [testscript]: https://pkg.go.dev/github.com/rogpeppe/go-internal/testscript
package scenarios
