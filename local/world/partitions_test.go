package world_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/crossapply/crossapply/local/demo"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/awsapi/sts"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
)

// The workflow runs in other partitions of AWS than the commercial one, and names no
// ARN and no host of another.
func TestPartitions(t *testing.T) {
	for partition, tt := range map[string]struct {
		target contract.Target
		sts    string
	}{
		"aws-cn":     {at("111111111111", "cn-northwest-1", "payments"), "sts.cn-northwest-1.amazonaws.com.cn"},
		"aws-us-gov": {at("111111111111", "us-gov-west-1", "payments"), "sts.us-gov-west-1.amazonaws.com"},
	} {
		t.Run(partition, func(t *testing.T) {
			w := startPartition(t, partition, tt.target)
			tokens := &tokenHosts{Service: sts.New(w.AWS.IAM), seen: map[string]bool{}}
			w.AWS.Mount(tokens)

			request := topic{name: "orders", targets: []contract.Target{tt.target}}.request(t)
			answer, err := demo.Demo{AWS: w.Engineer(), StateMachineARN: w.StateMachineARN, Out: io.Discard}.Run(t.Context(), []byte(request))
			if err != nil || answer.Counts[contract.OutcomeReady] != 1 {
				t.Fatalf("%+v: %v", answer, err)
			}

			policies, err := json.Marshal(w.Deployment)
			if err != nil {
				t.Fatal(err)
			}
			history, _ := allHistory(t, w)
			objects, _ := allObjects(t, w)
			for place, text := range map[string]string{"the policies": string(policies), "the history": history, "the run bucket": objects, "the logs": allLogs(w)} {
				if got := partitionsOf(text); !slices.Equal(got, []string{partition}) {
					t.Errorf("the ARNs in %s are of %q", place, got)
				}
			}
			if got := slices.Collect(maps.Keys(tokens.seen)); !slices.Equal(got, []string{tt.sts}) {
				t.Errorf("the tokens name the hosts %q, want %s", got, tt.sts)
			}
		})
	}
}

// startPartition starts the world of a partition with one cluster.
func startPartition(t *testing.T, partition string, target contract.Target) *world.World {
	t.Helper()
	w, err := world.Start(t.Context(), world.Config{
		Deployment: partition, Clusters: []world.Cluster{{Target: target}},
		Operator: operator.Options{Delay: delayOf}, PollWindow: pollWindow,
		Pause: func(d time.Duration) time.Duration { return d / 50 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

var arnPartition = regexp.MustCompile(`\barn:([a-z-]*):`)

// partitionsOf returns the partitions that the ARNs in a text name, each once.
func partitionsOf(text string) []string {
	named := map[string]bool{}
	for _, match := range arnPartition.FindAllStringSubmatch(text, -1) {
		named[match[1]] = true
	}
	return slices.Sorted(maps.Keys(named))
}

// tokenHosts is STS, and keeps for which hosts the tokens were signed that it was
// asked about.
type tokenHosts struct {
	protocol.Service

	mu   sync.Mutex
	seen map[string]bool
}

func (s *tokenHosts) Operation(r *http.Request) protocol.Operation {
	if r.URL.Query().Has("X-Amz-Signature") {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[r.Host] = true
	}
	return s.Service.Operation(r)
}
