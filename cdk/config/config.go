package config

import (
	"encoding/json"

	"github.com/crossapply/crossapply/shared/allowlist"
	"github.com/crossapply/crossapply/shared/contract"
)

// Config is the configuration of a deployment.
type Config struct {
	// Name is the state machine's name and the first word of all other names:
	// lower-case letters, digits and hyphens, at most 32. The default is
	// "crossapply". A second deployment in the same account needs another one.
	Name string `json:"name,omitempty"`

	// Hub is where the workflow lives. Required.
	Hub Hub `json:"hub"`

	// ExternalID is what the functions say when they assume an access role, and
	// what its trust policy asks for: 2 to 1,000 letters, digits and any of
	// _+=,.@:/-. Required. It is no secret, but should be the deployment's own.
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html
	ExternalID string `json:"externalId"`

	// PreviousExternalID is trusted by the access roles beside [Config.ExternalID],
	// to change that in three deployments with no gap: both in the access stacks,
	// then the hub, then the access stacks without this key. The two have at most
	// 1,000 characters together, so that the trust policy keeps to IAM's quota.
	PreviousExternalID string `json:"previousExternalId,omitempty"`

	// AdditionalRegions are AWS Regions, of the hub's partition, that this release
	// does not know yet. By default a Region that it does not know is refused.
	AdditionalRegions []string `json:"additionalRegions,omitempty"`

	// Regions are the AWS Regions in which a request looks for clusters where it names
	// none. The default is the Regions of the clusters that [Config.Accounts] lists, and
	// the hub's.
	Regions []string `json:"regions,omitempty"`

	// Accounts lists the target accounts, with their clusters. Required, unless
	// [StackSet.AllAccounts] is on.
	Accounts []Account `json:"accounts,omitempty"`

	// AccessRoleName is the name of the access role in every target account, at
	// most 64 characters, [Config.RolePath] included. The default is [Config.Name]
	// with "-access" behind it.
	AccessRoleName string `json:"accessRoleName,omitempty"`

	// RolePath is the path of all roles, in the hub and in target accounts, such
	// as "/platform/". The default is "/". Decide before the first deployment: a
	// role that is made anew breaks its access entries.
	RolePath string `json:"rolePath,omitempty"`

	// PermissionsBoundary is the name, with its path if it has one, of the managed
	// policy that bounds what all roles may do. It must be there, in the hub's
	// account and in each target account, before the roles are made.
	PermissionsBoundary string `json:"permissionsBoundary,omitempty"`

	// TerminationProtection keeps the stacks from being deleted before it is
	// turned off again. Stacks that a StackSet deploys cannot have it.
	TerminationProtection bool `json:"terminationProtection,omitempty"`

	// AccessPolicies are EKS access policies that each access entry gets, beside
	// the Kubernetes group "crossapply". EKS allows built-in kinds with them; for
	// custom resources only AmazonEKSClusterAdminPolicy, which allows everything.
	// https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
	AccessPolicies []AccessPolicy `json:"accessPolicies,omitempty"`

	// OrganizationID is the id of the AWS organisation that all target accounts
	// are in, such as "o-a1b2c3d4e5". It is needed with [StackSet.AllAccounts] and
	// beyond [MaxNamedAccounts] accounts, which are more than the policies of the
	// functions' roles can name one by one: these then allow the access role in
	// every account of the organisation, and each access role's own trust remains.
	OrganizationID string `json:"organizationId,omitempty"`

	// Allow lists what the workflow may touch at all. A request for anything else is
	// refused before a cluster is called, and the RBAC rules that `make synth` writes
	// to dist/, to be applied in every cluster, grant this and nothing more. By
	// default only the clusters' own rules say what it may touch, and none are
	// written.
	Allow []allowlist.Rule `json:"allow,omitempty"`

	// Operations are the operations that the workflow does at all: those that a request
	// can name, and "rollback" for its field of that name and for rollout.onFailure. A
	// request for another is refused before a cluster is called, and the RBAC rules of
	// [Config.Allow] grant what these use. The default is all of them.
	Operations []contract.Operation `json:"operations,omitempty"`

	// Organizations lets requests select clusters by organisational units: the plan
	// function may list the units and the accounts of the organisation. The hub's
	// account must be its management account or a delegated administrator in it.
	// By default units are refused.
	// https://docs.aws.amazon.com/organizations/latest/APIReference/API_ListAccountsForParent.html
	Organizations bool `json:"organizations,omitempty"`

	// Events says where the events of executions go.
	Events Events `json:"events,omitzero"`

	// Schedules start executions at set times.
	Schedules []Schedule `json:"schedules,omitempty"`

	// Functions tunes single functions, by their names.
	Functions map[string]Function `json:"functions,omitempty"`

	// PollWindowSeconds is how long one call of the poll function watches a
	// resource: from [awsenv.ShortestPollWindow] to [awsenv.LongestPollWindow], by
	// default [awsenv.DefaultPollWindow]. A longer window costs fewer state
	// transitions, a shorter one frees the function sooner for other targets.
	PollWindowSeconds int `json:"pollWindowSeconds,omitempty"`

	// VPC puts the functions that call clusters into subnets, for clusters with
	// a private endpoint. By default they run outside any VPC.
	VPC *VPC `json:"vpc,omitempty"`

	// Networks are further VPCs, each for the clusters of some accounts or Regions
	// that [Config.VPC] does not reach: where address ranges overlap, say. Each has
	// functions of its own; a target is worked on in the first that fits.
	Networks []Network `json:"networks,omitempty"`

	// Logs says what is logged and for how long.
	Logs Logs `json:"logs,omitzero"`

	// RunDays is how many days what an execution works with stays in the run
	// bucket, its report excepted: 2 to 89, by default 30. So long it can be
	// retried and rolled back. Names of executions may come again after 90 days. What
	// people put below inputs/ stays until they delete it.
	RunDays int `json:"runDays,omitempty"`

	// ReportDays is how many days the full reports, and the objects that get found,
	// stay in the run bucket, at least [Config.RunDays]. The default is 365. Step Functions itself forgets an execution after
	// 90 days.
	ReportDays int `json:"reportDays,omitempty"`

	// CallerRole is a role that principals of other accounts may assume, to start
	// the workflow and read its reports. By default there is none; callers of the
	// hub account need only the managed policy.
	CallerRole *CallerRole `json:"callerRole,omitempty"`

	// CustomerManagedKey encrypts the run bucket, the log groups, the executions, the
	// dead-letter queue, the topic of events and the functions' environment with a KMS
	// key of this deployment. By default AWS-owned keys are used.
	CustomerManagedKey bool `json:"customerManagedKey,omitempty"`

	// AlarmTopicARN is the SNS topic, in the hub's Region, that is told when an
	// alarm goes off or back. Without one the alarms are shown only.
	AlarmTopicARN string `json:"alarmTopicArn,omitempty"`

	// StackSet deploys the access stacks through AWS Organizations. By default
	// each is deployed with its account's own credentials.
	StackSet *StackSet `json:"stackSet,omitempty"`

	// Tags are put on everything that can carry tags: keys of up to 128 and
	// values of up to 256 characters, neither of them empty, and no key that
	// begins with "aws:".
	// https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
	Tags map[string]string `json:"tags,omitempty"`
}

// Hub is the environment of the workflow.
type Hub struct {
	// Account is the 12-digit id of the AWS account, as a string. Required.
	Account string `json:"account"`
	// Region is the AWS Region, such as "eu-west-1". Required. Clusters may lie
	// in any Region of the same partition.
	Region string `json:"region"`
}

// Account is a target account.
type Account struct {
	// ID is the account's 12-digit id, as a string. Required.
	ID string `json:"id"`
	// HomeRegion is the AWS Region whose stack makes the access role; IAM itself
	// is global. The default is the hub's Region, whether or not the account has
	// clusters there, so that the role never moves when clusters come and go. It
	// cannot be changed while the role is there: IAM refuses a second one of its
	// name, so the deployment in the other Region fails and nothing is lost. With
	// [Config.StackSet] that one says it for all accounts.
	HomeRegion string `json:"homeRegion,omitempty"`
	// Clusters lists the EKS clusters that the workflow may reach. Required,
	// unless [Account.Discovery] is on.
	Clusters []Cluster `json:"clusters,omitempty"`
	// Discovery allows the access role to list all clusters of the account and
	// to read their tags. Access to a cluster still takes an entry in
	// [Account.Clusters].
	Discovery bool `json:"discovery,omitempty"`
}

// Cluster is an EKS cluster. The authentication mode of a cluster must be API or
// API_AND_CONFIG_MAP, since access is given by an access entry.
type Cluster struct {
	// Name is the cluster's name. Required.
	Name string `json:"name"`
	// Region is the AWS Region it lies in. Required.
	Region string `json:"region"`
	// WithoutEntry leaves the cluster without an access entry of ours, and takes
	// one away that we made: for a cluster that is not there yet, that has its
	// entry from elsewhere, or that maps the access role in its aws-auth ConfigMap.
	// A cluster that was made anew under its old name, which took its entry along,
	// gets it again by two deployments: one with this key and one without.
	WithoutEntry bool `json:"withoutEntry,omitempty"`
}

// AccessPolicy is an EKS access policy on an access entry.
type AccessPolicy struct {
	// Name is the policy's name, such as "AmazonEKSEditPolicy". Required.
	Name string `json:"name"`
	// Namespaces keeps it to these namespaces. The default is the whole cluster.
	Namespaces []string `json:"namespaces,omitempty"`
}

// Schedule starts the workflow at set times.
// https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
type Schedule struct {
	// Name is unique in the deployment: 1 to 64 letters, digits and any of "_.-".
	// Required.
	Name string `json:"name"`
	// Expression is rate(value unit), cron(minutes hours day-of-month month
	// day-of-week year) or at(yyyy-mm-ddThh:mm:ss). Required.
	Expression string `json:"expression"`
	// TimeZone is the IANA time zone in which cron and at are read. The default
	// is "UTC".
	TimeZone string `json:"timeZone,omitempty"`
	// FlexibleWindowMinutes lets the start be up to so many minutes late: 1 to
	// 1,440. The default is 0: at once.
	FlexibleWindowMinutes int `json:"flexibleWindowMinutes,omitempty"`
	// Request is the input of the execution. An idempotencyKey of the schedule
	// and its scheduled time is added, so that a repeated delivery does nothing
	// twice. Its targets must be in [Config.Accounts]. Either this or
	// [Schedule.RequestFile] is required.
	Request json.RawMessage `json:"request,omitempty"`
	// RequestFile names a JSON file with the request, relative to the file this
	// configuration is in.
	RequestFile string `json:"requestFile,omitempty"`
	// MaximumRetryAttempts is how often a start that fails is tried again: 0 to
	// 185, by default 10. After that it goes to the dead-letter queue.
	MaximumRetryAttempts *int `json:"maximumRetryAttempts,omitempty"`
	// MaximumEventAgeSeconds is how long a start may be tried: 60 to 86,400, by
	// default 3,600.
	MaximumEventAgeSeconds int `json:"maximumEventAgeSeconds,omitempty"`
	// Disabled keeps the schedule but starts nothing.
	Disabled bool `json:"disabled,omitempty"`
}

// Function tunes a function.
type Function struct {
	// MemoryMB is the memory in MB, 128 to 10,240, which sets the CPU share too.
	// The default is the function's own.
	MemoryMB int `json:"memoryMB,omitempty"`
	// ReservedConcurrency keeps so much of the account's concurrency for the
	// function, and lets it use no more. By default nothing is reserved. The account
	// must have 100 more than all that is reserved in it. The least of resolve,
	// apply and poll is how many targets are worked on at once at most.
	ReservedConcurrency int `json:"reservedConcurrency,omitempty"`
}

// VPC is where the functions that call clusters run.
type VPC struct {
	// SubnetIDs are private subnets with a route to the clusters' endpoints, to
	// S3 and STS in the hub's Region and to EKS in each cluster's Region.
	// Required. VPC endpoints do for the hub's Region (for S3 a gateway
	// endpoint); they are Regional, so EKS in another Region takes NAT.
	SubnetIDs []string `json:"subnetIds"`
	// SecurityGroupIDs are their security groups. Required.
	SecurityGroupIDs []string `json:"securityGroupIds"`
}

// CallerRole says who of other accounts may assume the role for callers.
type CallerRole struct {
	// Principals are accounts, by their 12 digits, and roles, by their ARNs. An
	// account's own administrators decide who in it may assume the role. Required.
	Principals []string `json:"principals"`
	// ExternalID is what they must say when they assume it: see
	// [Config.ExternalID] for its form. By default they need not say anything.
	ExternalID string `json:"externalId,omitempty"`
}

// Events says where the events of executions go.
type Events struct {
	// BusName is the EventBridge event bus, in the hub's account and Region, that they
	// are sent to. It must be there. The default is "default", which every account has.
	BusName string `json:"busName,omitempty"`
	// Topic makes an SNS topic, named "crossapply-events" after [Config.Name], that is
	// told of every phase and every execution that has ended, and of every approval that
	// is asked for. By default there is none.
	Topic bool `json:"topic,omitempty"`
}

// Logs says what is logged and for how long.
type Logs struct {
	// RetentionDays is one of the periods CloudWatch Logs knows. The default is 30.
	RetentionDays int `json:"retentionDays,omitempty"`
	// Level is what the state machine logs: OFF, FATAL, ERROR or ALL. The
	// default is ERROR.
	Level string `json:"level,omitempty"`
	// IncludeExecutionData logs input and output of states too, which hold the
	// request's manifest.
	IncludeExecutionData bool `json:"includeExecutionData,omitempty"`
}

// StackSet deploys the access stacks through AWS Organizations, with
// service-managed permissions, which partition aws-cn does not have. All target
// accounts must be in the organisation, and none may be its management account.
// The access stacks must not be deployed in another way too. An account that fails
// does not fail the deployment unless [Operation.FailureTolerancePercentage] says
// so: the StackSet's instances say how each went.
type StackSet struct {
	// OrganizationalUnitIDs are the organisational units that hold the target
	// accounts, or the root alone. Required. Each has StackSets of its own, so
	// that no change of this list deletes anything: a unit that leaves it keeps
	// its access stacks until its StackSets are destroyed.
	OrganizationalUnitIDs []string `json:"organizationalUnitIds"`
	// CallAs is DELEGATED_ADMIN when the hub account is a delegated
	// administrator, or SELF when it is the management account. Required.
	CallAs string `json:"callAs"`
	// HomeRegion is the AWS Region whose stacks make the access roles. Required,
	// so that it does not move with the hub. It is part of the StackSets' names: a
	// change makes new ones, which fail where a role is, and deletes nothing.
	HomeRegion string `json:"homeRegion"`
	// AllAccounts gives every account of the units the access role, those that
	// join later included. It needs [Config.OrganizationID]. Access entries are
	// made for [Config.Accounts] still, since they take the clusters' names; any
	// other cluster gets its entry from whoever makes the cluster.
	AllAccounts bool `json:"allAccounts,omitempty"`
	// Templates is how many templates the access entries are spread over, by the
	// accounts' ids: 1 (the default) to 50, each with up to 500 entries. It may
	// grow. To make it smaller, take the access entries away first.
	Templates int `json:"templates,omitempty"`
	// Operation says how fast the StackSets work, and when they stop.
	Operation Operation `json:"operation,omitzero"`
}

// Operation is how StackSets work on accounts.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stacksets-concepts.html#stackset-ops-options
type Operation struct {
	// MaxConcurrentPercentage is how many of the accounts are worked on at once: 1
	// to 100, by default 100.
	MaxConcurrentPercentage int `json:"maxConcurrentPercentage,omitempty"`
	// FailureTolerancePercentage is how many of the accounts may fail, in each
	// Region, before the operation stops and the deployment fails: 0 to 100, by
	// default 100.
	FailureTolerancePercentage *int `json:"failureTolerancePercentage,omitempty"`
	// ConcurrencyMode is SOFT_FAILURE_TOLERANCE (the default), or
	// STRICT_FAILURE_TOLERANCE, which works on no more accounts at once than may
	// still fail.
	ConcurrencyMode string `json:"concurrencyMode,omitempty"`
	// RegionConcurrency is PARALLEL (the default) or SEQUENTIAL.
	RegionConcurrency string `json:"regionConcurrency,omitempty"`
}
