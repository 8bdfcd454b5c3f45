package world_test

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/process"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
)

const (
	// fleetTargets is the environment variable that says how many targets
	// BenchmarkFleet has; without it the benchmark is left out. The world then has
	// these clusters and no others.
	fleetTargets = "FLEET_TARGETS"
	// fleetConcurrency is the one that says how many of them are under way at a time.
	fleetConcurrency = "FLEET_CONCURRENCY"

	fleetAccounts = 20
	// fleetSandboxes is how many processes of each function two cores keep busy.
	fleetSandboxes = 64
	// fleetMemory has the collector work harder before this process is as large, in
	// bytes: without it Go lets the heap grow to twice what is in use.
	fleetMemory = 400 << 20
)

// number reads an environment variable.
func number(variable string, otherwise int) int {
	n, err := strconv.Atoi(os.Getenv(variable))
	if err != nil {
		return otherwise
	}
	return n
}

// forFleet makes the configuration that of BenchmarkFleet, if it is asked for.
func forFleet(config *world.Config) {
	if n := number(fleetTargets, 0); n > 0 {
		debug.SetMemoryLimit(fleetMemory)
		config.Clusters, config.Sandboxes, config.PollWindow = nil, fleetSandboxes, 0
		config.Fleet = &world.Fleet{Accounts: fleetAccounts, Clusters: (n + fleetAccounts - 1) / fleetAccounts}
	}
}

// BenchmarkFleet measures executions over as many targets as FLEET_TARGETS says,
// each of which gets a resource that is not there yet:
//
//	FLEET_TARGETS=500 go test -run '^$' -bench Fleet -benchtime 1x -timeout 1h ./local/world
//
// The targets stand in the request, of at most 256 KiB: there is room for 3,000.
//
// Beside the time of an execution it reports, of the last one: what the API servers
// served in a second, which bounds it on one machine; the largest resident size that
// a process of each function has had, and this process, in which AWS, Step Functions
// and the operators run; calls per target; and the largest input or output of a
// state beside the execution's own input.
func BenchmarkFleet(b *testing.B) {
	n := number(fleetTargets, 0)
	if n == 0 {
		b.Skip(fleetTargets + " is not set")
	}
	r := topic{targets: shared.FleetTargets()[:n], timeout: 1800, concurrency: number(fleetConcurrency, 100)}
	for i := 0; b.Loop(); i++ {
		r.name = "fleet-" + strconv.Itoa(i)
		before := measure(b)
		arn := start(b, r.request(b))
		ended := wait(b, arn)
		after := measure(b)
		if ended.Status != types.ExecutionStatusSucceeded {
			b.Fatal(aws.ToString(ended.Cause))
		}
		if answer := decodeAnswer(b, aws.ToString(ended.Output)); answer.Counts[contract.OutcomeReady] != n {
			b.Fatalf("of %d targets are Ready: %v", n, answer.Counts)
		}
		after.report(b, before, n)
		b.ReportMetric(float64(largestState(b, arn))/1024, "largest-state-KiB")
	}
	b.ReportMetric(float64(process.PeakMemory(os.Getpid()))/(1<<20), "this-process-MiB")
}

// measured is what the world has done up to a moment.
type measured struct {
	at          time.Time
	kubernetes  map[string]int // requests that API servers served, by verb
	aws         map[string]int // calls, by service and operation
	invocations map[string]int // by function
	memory      map[string]int64
}

func measure(b *testing.B) measured {
	b.Helper()
	m := measured{at: time.Now(), kubernetes: map[string]int{}, aws: map[string]int{}, invocations: map[string]int{}, memory: map[string]int64{}}
	for _, server := range shared.APIServers() {
		served, err := server.Served()
		if err != nil {
			b.Fatal(err)
		}
		for verb, n := range served {
			m.kubernetes[verb] += n
		}
	}
	for call, n := range shared.AWS.Calls() {
		m.aws[call.Service+":"+call.Operation] += n
	}
	for _, i := range shared.AWS.Lambda.Invocations() {
		name := i.Function[strings.LastIndex(i.Function, "-")+1:]
		m.invocations[name]++
		m.memory[name] = max(m.memory[name], i.Memory)
	}
	return m
}

// report reports what has happened since before, for n targets.
func (m measured) report(b *testing.B, before measured, n int) {
	b.Helper()
	seconds := m.at.Sub(before.at).Seconds()
	b.ReportMetric(float64(n)/seconds, "targets/s")
	b.ReportMetric(float64(sum(m.kubernetes)-sum(before.kubernetes))/seconds, "apiserver-requests/s")
	b.ReportMetric(float64(sum(m.kubernetes)-sum(before.kubernetes))/float64(n), "apiserver-requests/target")
	b.ReportMetric(float64(sum(m.aws)-sum(before.aws))/float64(n), "aws-calls/target")
	b.ReportMetric(float64(sum(m.invocations)-sum(before.invocations))/float64(n), "invocations/target")
	for name, bytes := range m.memory {
		b.ReportMetric(float64(bytes)/(1<<20), name+"-MiB")
	}
	for _, counts := range [][2]map[string]int{{m.kubernetes, before.kubernetes}, {m.aws, before.aws}, {m.invocations, before.invocations}} {
		var line strings.Builder
		for _, name := range slices.Sorted(maps.Keys(counts[0])) {
			if more := counts[0][name] - counts[1][name]; more > 0 {
				fmt.Fprintf(&line, " %s %.2f", name, float64(more)/float64(n))
			}
		}
		b.Logf("per target:%s", &line)
	}
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// largestState returns the size of the largest input or output of a state of an
// execution and its children. The execution's own input, which may name every
// target, is none.
func largestState(b *testing.B, arn string) int {
	b.Helper()
	api := sfn.NewFromConfig(shared.Engineer())
	largest := largestOf(b, api, &arn)
	runs, err := api.ListMapRuns(b.Context(), &sfn.ListMapRunsInput{ExecutionArn: &arn})
	if err != nil {
		b.Fatal(err)
	}
	for _, run := range runs.MapRuns {
		pages := sfn.NewListExecutionsPaginator(api, &sfn.ListExecutionsInput{MapRunArn: run.MapRunArn, MaxResults: 1000})
		for pages.HasMorePages() {
			page, err := pages.NextPage(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for _, child := range page.Executions {
				largest = max(largest, largestOf(b, api, child.ExecutionArn))
			}
		}
	}
	return largest
}

func largestOf(b *testing.B, api *sfn.Client, arn *string) (largest int) {
	b.Helper()
	var given string
	pages := sfn.NewGetExecutionHistoryPaginator(api, &sfn.GetExecutionHistoryInput{ExecutionArn: arn, MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for _, event := range page.Events {
			switch {
			case event.ExecutionStartedEventDetails != nil:
				given = aws.ToString(event.ExecutionStartedEventDetails.Input)
			case event.StateEnteredEventDetails != nil:
				if input := aws.ToString(event.StateEnteredEventDetails.Input); input != given {
					largest = max(largest, len(input))
				}
			case event.StateExitedEventDetails != nil:
				largest = max(largest, len(aws.ToString(event.StateExitedEventDetails.Output)))
			}
		}
	}
	return largest
}
