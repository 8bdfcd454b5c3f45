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

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/demo"
	"github.com/crossapply/crossapply/local/emulator/awsapi/events"
	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
	"github.com/crossapply/crossapply/local/emulator/awsapi/sts"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
)

// The workflow runs in other partitions of AWS than the commercial one, in phases and
// with all that it finds, asks and tells, and names no ARN and no host of another.
func TestPartitions(t *testing.T) {
	for partition, tt := range map[string]struct {
		regions []string
		sts     []string
	}{
		"aws-cn":     {[]string{"cn-north-1", "cn-northwest-1"}, []string{"sts.cn-north-1.amazonaws.com.cn", "sts.cn-northwest-1.amazonaws.com.cn"}},
		"aws-us-gov": {[]string{"us-gov-east-1", "us-gov-west-1"}, []string{"sts.us-gov-east-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com"}},
	} {
		t.Run(partition, func(t *testing.T) {
			w := startPartition(t, partition, tt.regions)
			tokens := &tokenHosts{Service: sts.New(w.AWS.IAM), seen: map[string]bool{}}
			w.AWS.Mount(tokens)
			w.AWS.Events.Subscribe(func(event events.Event) {
				if event.DetailType == deployment.EventApprovalRequested {
					go approve(t, w, askedBy(t, event))
				}
			})

			r := phased("orders")
			r.selectors = []contract.TargetSelector{{Match: contract.Match{Accounts: []string{"*"}}}}
			r.waves[1].Approval = aws.Bool(true)
			answer, err := demo.Demo{AWS: w.Engineer(), StateMachineARN: w.StateMachineARN, Out: io.Discard}.Run(t.Context(), []byte(r.request(t)))
			if err != nil || answer.Counts[contract.OutcomeReady] != 2 || len(answer.Waves) != 2 {
				t.Fatalf("%+v: %v", answer, err)
			}

			policies, err := json.Marshal(w.Deployment)
			if err != nil {
				t.Fatal(err)
			}
			history, _ := allHistory(t, w)
			objects, _ := allObjects(t, w)
			for place, text := range map[string]string{
				"the policies": string(policies), "the history": history, "the run bucket": objects, "the event bus": allEvents(t, w), "the logs": allLogs(w),
			} {
				if got := partitionsOf(text); !slices.Equal(got, []string{partition}) {
					t.Errorf("the ARNs in %s are of %q", place, got)
				}
			}
			if got := slices.Sorted(maps.Keys(tokens.seen)); !slices.Equal(got, tt.sts) {
				t.Errorf("the tokens name the hosts %q, want %q", got, tt.sts)
			}
		})
	}
}

// startPartition starts the world of a partition with a cluster in each of the Regions,
// which share an API server.
func startPartition(t *testing.T, partition string, regions []string) *world.World {
	t.Helper()
	fleet := &world.Fleet{Servers: 1}
	for _, region := range regions {
		fleet.Members = append(fleet.Members, world.Cluster{Target: at("111111111111", region, "payments")})
	}
	w, err := world.Start(t.Context(), world.Config{
		Deployment: partition, Fleet: fleet, Operator: operator.Options{Delay: delayOf}, PollWindow: pollWindow,
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
