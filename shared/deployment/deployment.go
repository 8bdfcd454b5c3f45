// Package deployment is what a deployment of the workflow consists of, in one
// place: the list of its functions, and the names and limits that the code and
// the deployment must agree on. The CDK app deploys from it, the local world
// starts from it, and tests hold the definition and the Makefile to it.
package deployment

import (
	"slices"
	"strings"
	"time"

	"github.com/crossapply/crossapply/shared/awsenv"
	"github.com/crossapply/crossapply/shared/runs"
)

const (
	// Name is the default name of a deployment: of its state machine, and the first
	// word of all other names.
	Name = "crossapply"
	// MapLabel is the Label of the definition's Distributed Map over targets, which is
	// part of the ARNs of the child executions.
	// https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
	MapLabel = "Target"
	// DiscoveryLabel is that of the Distributed Map over accounts.
	DiscoveryLabel = "Account"
	// EventSource is the source of the events that the definition sends.
	EventSource = "crossapply"
	// PartitionPlaceholder is the definition's placeholder for the AWS partition,
	// which the ARNs of service integrations name: in another one than their own
	// these are accepted, and fail when a state is entered.
	PartitionPlaceholder = "Partition"
	// EventBusPlaceholder is the definition's placeholder for the name of the event bus.
	EventBusPlaceholder = "EventBusName"
	// AccountsPlaceholder is the definition's placeholder for the accounts that selectors
	// choose from: ids with spaces between them. See [contract.ConfiguredTargets].
	AccountsPlaceholder = "ConfiguredAccounts"
	// UnitsPlaceholder is the one for organizational units.
	UnitsPlaceholder = "ConfiguredUnits"
	// RegionsPlaceholder is the one for Regions.
	RegionsPlaceholder = "ConfiguredRegions"
	// Alias is the state machine's alias that callers start.
	Alias = "live"
	// Group is the Kubernetes group that access entries map the access role to.
	Group = "crossapply"
)

// The detail types of the events that the definition sends: docs/events.md says when.
const (
	EventExecutionStarted  = "crossapply Execution Started"
	EventPhaseEnded        = "crossapply Phase Ended"
	EventApprovalRequested = "crossapply Approval Requested"
	EventExecutionEnded    = "crossapply Execution Ended"
)

// Function is one of the workflow's Lambda functions.
type Function struct {
	// Name is the function's folder below functions/ and its zip in dist/. In AWS
	// the deployment's name and a hyphen come before it.
	Name string
	// Does says in a sentence what it is for.
	Does string
	// TimeoutSeconds is its timeout. It is below the timeout of the definition's
	// state, so that the function ends first and says why.
	TimeoutSeconds int
	// MemoryMB is its memory by default, in MB.
	MemoryMB int
	// AssumesRoles says that it assumes access roles, and ReachesClusters that it calls
	// clusters, which takes a network that leads there.
	AssumesRoles, ReachesClusters bool
	// Environment are the names of its environment variables, and Optional of those
	// that it has only where the configuration gives them a value.
	Environment, Optional []string
	// Objects are what it uses of the run bucket, and Lists the prefixes that it
	// lists.
	Objects []Objects
	Lists   []string
	// DescribesExecutions says that it asks Step Functions how executions of the
	// workflow are doing.
	DescribesExecutions bool
	// ListsOrganization says that it lists the accounts of organizational units, where
	// the configuration allows that.
	ListsOrganization bool
}

// Objects are objects of the run bucket that are used alike.
type Objects struct {
	// Keys is a pattern of keys, in which * stands for any characters.
	Keys        string
	Read, Write bool
}

// toTarget are the environment variables of a function that reaches targets.
var toTarget = []string{awsenv.Partition, awsenv.AccessRoleName, awsenv.ExternalID}

var functions = []Function{
	{
		Name: "plan", Does: "Checks the request, finds or takes the targets, and lays them out in waves.",
		TimeoutSeconds: 120, MemoryMB: 512,
		Environment: []string{awsenv.Partition, awsenv.RunBucket},
		Optional:    []string{awsenv.AdditionalRegions, awsenv.Allow, awsenv.MaxConcurrency, awsenv.Operations, awsenv.Organizations},
		Objects: []Objects{
			{Keys: runs.Inputs + "*", Read: true},
			// Read those of the execution that a retry or a rollback names.
			{Keys: runs.Pattern(runs.Request), Read: true, Write: true},
			{Keys: runs.Pattern(runs.Plan), Read: true, Write: true},
			{Keys: runs.Pattern(runs.Layout), Read: true, Write: true},
			{Keys: runs.Pattern(runs.Resources), Read: true, Write: true},
			{Keys: runs.Pattern(runs.Accounts), Write: true},
			{Keys: runs.Pattern(runs.Discovered + "*"), Read: true},
			{Keys: runs.Pattern(runs.Listing + "/*"), Read: true},
			{Keys: runs.Pattern(runs.Items + "*"), Write: true},
			// Of accounts that could not be listed.
			{Keys: runs.Pattern(runs.PhaseFailed(0) + "*"), Write: true},
			{Keys: runs.Reports + "*", Read: true},
			{Keys: runs.Claims + "*", Read: true, Write: true},
			{Keys: runs.Locks + "*", Read: true, Write: true},
		},
		Lists: []string{
			runs.Inputs + "*", runs.Pattern(runs.Plan), runs.Pattern(runs.Discovered + "*"), runs.Pattern(runs.Listing + "/*"),
			runs.Pattern(runs.Journal + "*"), runs.Reports + "*",
		},
		DescribesExecutions: true, ListsOrganization: true,
	},
	{
		Name: "discover", Does: "Lists the clusters of an account.",
		TimeoutSeconds: 300, MemoryMB: 256, AssumesRoles: true,
		Environment: toTarget,
		Objects:     []Objects{{Keys: runs.Pattern(runs.Discovered + "*"), Write: true}},
	},
	{
		Name: "resolve", Does: "Finds a target's cluster and proves that the workflow may act there.",
		TimeoutSeconds: 60, MemoryMB: 256, AssumesRoles: true, ReachesClusters: true,
		Environment: toTarget,
		Lists:       []string{runs.Pattern(runs.Marks)},
	},
	{
		Name: "apply", Does: "Does the operation on a cluster, once.",
		TimeoutSeconds: 60, MemoryMB: 256, AssumesRoles: true, ReachesClusters: true,
		Environment: toTarget,
		Objects: []Objects{
			{Keys: runs.Pattern(runs.Resources), Read: true},
			{Keys: runs.Pattern(runs.Journal + "*"), Read: true, Write: true},
			// What get finds lies beside the report, whose own key has one / less.
			{Keys: runs.Reports + "*/*/*", Write: true},
		},
		// A rollback finds out whether a target was touched.
		Lists: []string{runs.Pattern(runs.Journal + "*")},
	},
	{
		Name: "poll", Does: "Watches the resource on a cluster for one window.",
		TimeoutSeconds: 120, MemoryMB: 256, AssumesRoles: true, ReachesClusters: true,
		Environment: append([]string{awsenv.PollWindow}, toTarget...),
		Objects:     []Objects{{Keys: runs.Pattern(runs.Journal + "*"), Read: true}},
	},
	{
		Name: "review", Does: "Reads how a phase ended, and decides what is next.",
		TimeoutSeconds: 300, MemoryMB: 512,
		Environment: []string{awsenv.RunBucket},
		Objects: []Objects{
			{Keys: runs.Pattern(runs.Plan), Read: true},
			{Keys: runs.Pattern(runs.Layout), Read: true},
			{Keys: runs.Pattern(runs.Results + "*"), Read: true},
			{Keys: runs.Pattern(runs.Phases + "*"), Read: true, Write: true},
			{Keys: runs.Pattern(runs.Items + "*"), Read: true, Write: true},
		},
		Lists: []string{runs.All},
	},
	{
		Name: "report", Does: "Gathers how every target ended.",
		TimeoutSeconds: 240, MemoryMB: 512,
		Environment: []string{awsenv.RunBucket},
		Objects: []Objects{
			{Keys: runs.Pattern(runs.Plan), Read: true},
			{Keys: runs.Pattern(runs.Layout), Read: true},
			{Keys: runs.Pattern(runs.Results + "*"), Read: true},
			{Keys: runs.Pattern(runs.Phases + "*"), Read: true},
			{Keys: runs.Pattern(runs.Journal + "*"), Read: true},
			{Keys: runs.Pattern(runs.Failed + "*"), Read: true},
			{Keys: runs.Reports + "*", Read: true, Write: true},
		},
		Lists: []string{runs.All},
	},
}

// Functions returns the workflow's functions, in the order in which an execution
// calls them.
func Functions() []Function { return append([]Function{}, functions...) }

// FunctionNames returns their names.
func FunctionNames() []string {
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.Name
	}
	return names
}

// StillAtWork is how long the function that changes a target may go on after its child
// execution was stopped: Lambda does not learn of it, and ends it at its timeout.
func StillAtWork() time.Duration {
	apply := slices.IndexFunc(functions, func(f Function) bool { return f.Name == "apply" })
	return time.Duration(functions[apply].TimeoutSeconds) * time.Second
}

// Title is the function's name with a capital letter, for what is named after it.
func (f Function) Title() string { return strings.ToUpper(f.Name[:1]) + f.Name[1:] }

// Placeholder is the definition's placeholder for the function's ARN.
func (f Function) Placeholder() string { return f.Title() + "FunctionArn" }

// Uses says whether the function reads and writes objects of the run bucket.
func (f Function) Uses() (reads, writes bool) {
	for _, o := range f.Objects {
		reads, writes = reads || o.Read, writes || o.Write
	}
	return reads, writes
}
