package world_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/eksauth"
)

// marks returns the present end of every API server's record of requests.
func marks(t *testing.T) map[contract.Target]cluster.Mark {
	t.Helper()
	all := map[contract.Target]cluster.Mark{}
	for _, target := range append(healthy(), noRBAC, unmapped, noCRD) {
		mark, err := shared.Cluster(target).Mark()
		if err != nil {
			t.Fatal(err)
		}
		all[target] = mark
	}
	return all
}

// requestsOf returns the requests that an execution, whose name is that of its role
// sessions, has since made to the API server of a target; none where it has no API
// server of its own.
func requestsOf(t *testing.T, since map[contract.Target]cluster.Mark, arn string, target contract.Target) []cluster.Request {
	t.Helper()
	running := shared.Cluster(target)
	if running == nil {
		return nil
	}
	requests, err := running.Requests(since[target])
	if err != nil {
		t.Fatal(err)
	}
	_, name, err := contract.ParseExecution(arn)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(requests, func(request cluster.Request) bool {
		return !strings.HasSuffix(request.User, "assumed-role/crossapply-access/"+eksauth.SessionName(name))
	})
}

// writes says whether a request has changed a Topic.
func writes(request cluster.Request) bool {
	return request.Code < 300 && request.Resource == "topics.messaging.example.com" &&
		request.Verb != "get" && request.Verb != "list" && request.Verb != "watch"
}

// written says whether the API server of a target has since accepted a write of an
// execution.
func written(t *testing.T, since map[contract.Target]cluster.Mark, arn string, target contract.Target) bool {
	t.Helper()
	return slices.ContainsFunc(requestsOf(t, since, arn, target), writes)
}

// expectHonest fails where a result says that a target was not touched, and the
// record of its API server shows a write.
func expectHonest(t *testing.T, since map[contract.Target]cluster.Mark, arn string, results []contract.Result) {
	t.Helper()
	for _, result := range results {
		untouched := result.Outcome == contract.OutcomeNotStarted || result.Change == contract.ChangeNone
		if untouched && written(t, since, arn, result.Target) {
			t.Errorf("a write is reported as none: %s", says(result))
		}
		if (result.Change == "") != (result.Outcome == contract.OutcomeNotStarted) {
			t.Errorf("whether it was touched is not said: %s", says(result))
		}
	}
}
