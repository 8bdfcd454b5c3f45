package world_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/process"
	"github.com/crossapply/crossapply/local/world"
	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
)

const (
	// fleetTargets is the environment variable that says how many targets
	// BenchmarkFleet has, rounded up to as many in each account; without it the
	// benchmark is left out. The world then has these clusters and no others.
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

// The goals: what a process may hold in memory and a state carry, in bytes.
const (
	mostOfFunction = 64 << 20
	mostOfRunner   = 500 << 20
	mostOfState    = 8 << 10
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
		config.Fleet = &world.Fleet{Accounts: fleetAccounts, Clusters: perAccount(n) + 1, Tags: fleetTags}
	}
}

func concurrency() int { return number(fleetConcurrency, 200) }

func perAccount(targets int) int { return (targets + fleetAccounts - 1) / fleetAccounts }

// The tags of a fleet's clusters, which thousands share.
var (
	testTags   = map[string]string{"env": "test"}
	canaryTags = map[string]string{"env": "prod", "ring": "canary"}
	prodTags   = map[string]string{"env": "prod"}
)

// fleetTags has one cluster of each account be for tests, and one be a canary.
func fleetTags(target contract.Target) map[string]string {
	switch target.Cluster {
	case "cluster-0001":
		return testTags
	case "cluster-0002":
		return canaryTags
	}
	return prodTags
}

// fleetRequest creates a resource on every cluster that is not for tests, in four
// waves.
func fleetRequest(b *testing.B, name string, targets int) string {
	b.Helper()
	var accounts []string
	for _, target := range shared.FleetTargets() {
		accounts = append(accounts, target.Account)
	}
	slices.Sort(accounts)
	accounts = slices.Compact(accounts)
	resource, err := object(name, 1).MarshalJSON()
	if err != nil {
		b.Fatal(err)
	}
	request, err := json.Marshal(contract.Request{
		Resource: resource,
		Targets:  []contract.TargetSelector{{Match: contract.Match{Accounts: accounts, Tags: map[string]contract.TagValues{"env": {"prod"}}}}},
		Ready:    &contract.ReadyOptions{TimeoutSeconds: aws.Int(1800)},
		Rollout: &contract.RolloutOptions{
			MaxConcurrency: aws.Int(concurrency()),
			Waves: []contract.Wave{
				{Name: "canary", Match: &contract.Match{Tags: map[string]contract.TagValues{"ring": {"canary"}}}},
				{Name: "early", Count: aws.Int(targets / 20)},
				{Name: "half", Percent: aws.Int(50)},
				{Name: "rest"},
			},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return string(request)
}

// BenchmarkFleet measures an execution over as many targets as FLEET_TARGETS says, found
// by tag in 20 accounts and rolled out in four waves, each of which gets a resource that
// is not there yet: `make bench-fleet`. It prints a table, with the goal beside each
// figure that has one.
//
// One process runs AWS, Step Functions and the operators; the API servers, which bound
// all on one machine, and the functions have theirs.
func BenchmarkFleet(b *testing.B) {
	if number(fleetTargets, 0) == 0 {
		b.Skip(fleetTargets + " is not set")
	}
	n := perAccount(number(fleetTargets, 0)) * fleetAccounts
	for i := 0; b.Loop(); i++ {
		before := measure(b)
		arn := start(b, fleetRequest(b, "fleet-"+strconv.Itoa(i), n))
		ended := wait(b, arn)
		after := measure(b)
		if ended.Status != types.ExecutionStatusSucceeded {
			b.Fatal(aws.ToString(ended.Cause))
		}
		if answer := decodeAnswer(b, aws.ToString(ended.Output)); answer.Counts[contract.OutcomeReady] != n || len(answer.Waves) != 4 {
			b.Fatalf("of %d targets in 4 waves are Ready: %v, %v", n, answer.Counts, answer.Waves)
		}
		after.since(before).print(b, arn, n)
	}
}

// measured is what the world has done up to a moment, or between two.
type measured struct {
	took        time.Duration
	at          time.Time
	kubernetes  map[string]int // requests that API servers served, by verb
	aws         map[string]int // calls, by service and operation
	invocations []lambda.Invocation
}

func measure(b *testing.B) measured {
	b.Helper()
	m := measured{at: time.Now(), kubernetes: map[string]int{}, aws: map[string]int{}, invocations: shared.AWS.Lambda.Invocations()}
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
	return m
}

func (m measured) since(before measured) measured {
	m.took = m.at.Sub(before.at)
	m.kubernetes, m.aws = less(m.kubernetes, before.kubernetes), less(m.aws, before.aws)
	m.invocations = m.invocations[len(before.invocations):]
	return m
}

func less(counts, before map[string]int) map[string]int {
	more := map[string]int{}
	for name, n := range counts {
		if n > before[name] {
			more[name] = n - before[name]
		}
	}
	return more
}

// print prints what an execution over n targets took.
func (m measured) print(b *testing.B, arn string, n int) {
	b.Helper()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = table.Flush() }()
	row := func(what, figure, goal string) { _, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", what, figure, goal) }
	bounded := func(what, more string, bytes, goal, unit int64) {
		name, verdict := map[int64]string{1 << 10: "KiB", 1 << 20: "MiB"}[unit], "kept"
		if bytes >= goal {
			verdict = "missed"
			b.Errorf("%s: %d bytes miss the goal of fewer than %d", what, bytes, goal)
		}
		row(what, fmt.Sprintf("%.1f %s%s", float64(bytes)/float64(unit), name, more), fmt.Sprintf("< %d %s: %s", goal/unit, name, verdict))
	}
	seconds, targets := m.took.Seconds(), float64(n)

	row(fmt.Sprintf("%d targets, concurrency %d", n, concurrency()), "", "goal")
	row("wall time", fmt.Sprintf("%.0f s, %.1f targets/s", seconds, targets/seconds), "")
	row("API servers", fmt.Sprintf("%.0f requests/s, %.1f a target", float64(sum(m.kubernetes))/seconds, float64(sum(m.kubernetes))/targets), "")
	row("AWS", fmt.Sprintf("%.0f calls/s, %.1f a target", float64(sum(m.aws))/seconds, float64(sum(m.aws))/targets), "")
	for _, f := range deployment.Functions() {
		used := m.of(f.Name)
		more := fmt.Sprintf(" in %d calls, the longest of %.1f s", used.calls, used.longest.Seconds())
		bounded("memory of "+f.Name, more, used.memory, mostOfFunction, 1<<20)
	}
	bounded("memory of the runner", "", process.PeakMemory(os.Getpid()), mostOfRunner, 1<<20)
	largest := largestState(b, arn)
	bounded("largest state", ", "+largest.name, int64(largest.size), mostOfState, 1<<10)
	for _, counts := range []struct {
		what string
		of   map[string]int
	}{{"API servers, per target", m.kubernetes}, {"AWS, per target", m.aws}} {
		row(counts.what, "", "")
		for _, name := range slices.SortedFunc(maps.Keys(counts.of), func(a, b string) int { return counts.of[b] - counts.of[a] }) {
			row("  "+name, fmt.Sprintf("%.3f", float64(counts.of[name])/targets), "")
		}
	}
}

// usage is what the invocations of one function took.
type usage struct {
	calls   int
	longest time.Duration
	memory  int64 // the largest resident size of a process, in bytes
}

func (m measured) of(function string) (used usage) {
	for _, i := range m.invocations {
		if strings.HasSuffix(i.Function, "-"+function) {
			used.calls++
			used.longest, used.memory = max(used.longest, i.Duration), max(used.memory, i.Memory)
		}
	}
	return used
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

// state is the input or output of a state, with its size in bytes.
type state struct {
	name string
	size int
}

func (s state) orLarger(name string, payload *string) state {
	if size := len(aws.ToString(payload)); size > s.size {
		return state{name, size}
	}
	return s
}

// largestState returns the largest input or output of a state of an execution and its
// children.
func largestState(b *testing.B, arn string) state {
	b.Helper()
	api := sfn.NewFromConfig(shared.Engineer())
	largest := largestOf(b, api, &arn, state{})
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
				largest = largestOf(b, api, child.ExecutionArn, largest)
			}
		}
	}
	return largest
}

func largestOf(b *testing.B, api *sfn.Client, arn *string, largest state) state {
	b.Helper()
	pages := sfn.NewGetExecutionHistoryPaginator(api, &sfn.GetExecutionHistoryInput{ExecutionArn: arn, MaxResults: 1000})
	for pages.HasMorePages() {
		page, err := pages.NextPage(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		for _, event := range page.Events {
			if entered := event.StateEnteredEventDetails; entered != nil {
				largest = largest.orLarger(aws.ToString(entered.Name), entered.Input)
			}
			if exited := event.StateExitedEventDetails; exited != nil {
				largest = largest.orLarger(aws.ToString(exited.Name), exited.Output)
			}
			if scheduled := event.TaskScheduledEventDetails; scheduled != nil {
				largest = largest.orLarger("a task's parameters", scheduled.Parameters)
			}
		}
	}
	return largest
}
