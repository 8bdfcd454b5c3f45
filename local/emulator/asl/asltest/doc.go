// Package asltest runs a state machine in a test: the tasks are scripted, the
// objects are in memory, and time passes at once.
//
//	run := asltest.Run(t, asltest.Case{
//		Definition: definition,
//		Input:      `{"orders": [1, 2]}`,
//		Functions: asltest.Functions{
//			"plan":  asltest.Replies(asltest.Output(`{"count": 2}`)),
//			"apply": asltest.Replies(asltest.Fail("Throttled", "later"), asltest.Output(`{}`)),
//		},
//	})
//	if want := []string{"Plan", "Apply", "Report"}; !slices.Equal(run.Route, want) { ... }
//
// The test's executions live in a bubble of testing/synctest: a Wait of a day
// and the pauses of a Retry take no time, and run.Duration says how long they
// would have taken.
package asltest
