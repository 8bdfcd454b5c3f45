package fault

import (
	"maps"
	"slices"
)

// The names, each declared with what it means: docs/errors.md is written from here.
var (
	InvalidRequest = declare("CrossApply.InvalidRequest", Entry{
		When:    "the request is malformed, holds an unknown field, or asks for what this version does not do or this deployment does not allow; nothing was touched",
		Do:      "Correct the field whose path the message names and start again. What the deployment allows is in its configuration.",
		Verdict: true,
	})
	AssumeRoleDenied = declare("CrossApply.AssumeRoleDenied", Entry{
		When: "STS refuses the access role of the target account: it does not exist, does not trust this function's role, or expects another external id",
		Do:   "Deploy the access of the target account (make deploy-access), with the hub's account and external id, or correct the target's account.",
	})
	DescribeClusterDenied = declare("CrossApply.DescribeClusterDenied", Entry{
		When: "the access role may not call eks:DescribeCluster on the cluster",
		Do:   "Add the cluster to the configuration's accounts and deploy the access of its account (make deploy-access), or correct the target: the role may not look for clusters that are not named.",
	})
	ListClustersDenied = declare("CrossApply.ListClustersDenied", Entry{
		When: "the access role may not call eks:ListClusters, or read the clusters' tags, in an account that a selector looks in",
		Do:   "Allow discovery in the configuration for the account (discovery), and deploy its access (make deploy-access).",
	})
	OrganizationDenied = declare("CrossApply.OrganizationDenied", Entry{
		When: "AWS Organizations refuses to list the accounts of an organizational unit: the hub is neither its management account nor a delegated administrator, or the unit does not exist",
		Do:   "Allow it in the configuration (organizations), in a hub account that may list the organization's accounts, or name accounts.",
	})
	AuthenticationMode = declare("CrossApply.AuthenticationMode", Entry{
		When: "the cluster does not accept the access role, and its authentication mode is CONFIG_MAP, in which it knows no access entries",
		Do:   "Change the cluster's authentication mode to API_AND_CONFIG_MAP, or map the access role in its aws-auth ConfigMap and configure the cluster withoutEntry.",
	})
	Regressed = declare("CrossApply.Regressed", Entry{
		When:    "the check after the bake time finds that the resource is no longer Ready, that its condition has changed meanwhile, or that the object was changed",
		Do:      "Read the condition in the message and the operator's log on that cluster; let a wave bake longer where the operator needs it.",
		Verdict: true,
	})
	ChangedSince = declare("CrossApply.ChangedSince", Entry{
		When:    "a rollback finds that somebody else, or a later execution, has changed the object since; the message names the field managers and the fields, and the object was left as it is",
		Do:      "Roll back the later execution first. Or agree with the other manager, and bring back by hand what was there: the run bucket's journal has it.",
		Verdict: true,
	})
	ClusterNotFound = declare("CrossApply.ClusterNotFound", Entry{
		When: "the account has no EKS cluster of that name in that Region",
		Do:   "Correct the target's account, region or cluster.",
	})
	ClusterNotActive = declare("CrossApply.ClusterNotActive", Entry{
		When: "the cluster's status is neither ACTIVE nor UPDATING: it is being created or deleted, or has failed",
		Do:   "Wait until the cluster is ACTIVE, then retry the targets that did not succeed.",
	})
	ClusterUnreachable = declare("CrossApply.ClusterUnreachable", Entry{
		When:   "the cluster's API server does not answer, or its certificate is not signed by the cluster's CA",
		Do:     "Check the API server's health and, for a private endpoint, that the functions run in a VPC with a route to it and that its security group lets them in.",
		Passes: true,
	})
	ClusterError = declare("CrossApply.ClusterError", Entry{
		When:   "the cluster's API server answers with an internal error, for example because an admission webhook does not respond",
		Do:     "Read the message, repair the webhook or the API server, then retry.",
		Passes: true,
	})
	Unauthenticated = declare("CrossApply.Unauthenticated", Entry{
		When:   "the cluster does not accept the access role: it has no access entry for it, or the role was deleted and made anew since the entry was written",
		Do:     "Create the EKS access entry of the access role again.",
		Passes: true, // a new access entry needs a moment
	})
	Forbidden = declare("CrossApply.Forbidden", Entry{
		When: "RBAC in the cluster does not allow the access role's group what the operation needs; the message lists the verbs that are missing",
		Do:   "Apply the RBAC rules for this kind (examples/rbac.yaml) in the cluster.",
	})
	KindNotServed = declare("CrossApply.KindNotServed", Entry{
		When: "the cluster does not serve the resource's apiVersion and kind",
		Do:   "Install the operator's CRD in that version on the cluster, or correct apiVersion and kind.",
	})
	Conflict = declare("CrossApply.Conflict", Entry{
		When: "another field manager owns a field with another value, the object changed at every attempt, or it is not the one that metadata.resourceVersion or delete.uid says; the message names fields and owners",
		Do:   "Leave the field out of the resource, agree with its owner, or take it over with apply.adopt or apply.force. Of another resourceVersion or uid: look at the object anew.",
	})
	WouldRemove = declare("CrossApply.WouldRemove", Entry{
		When: "the apply would remove fields that an earlier one set, and apply.removals is refuse; nothing was changed",
		Do:   "Put the fields that the message names into the resource, or allow their removal with apply.removals.",
	})
	Overwritten = declare("CrossApply.Overwritten", Entry{
		When:    "the resource is Ready, but somebody else changed fields that were applied; the message names both",
		Do:      "Agree with the other manager on who sets the fields, or leave them out of the resource.",
		Verdict: true,
	})
	RegionNotEnabled = declare("CrossApply.RegionNotEnabled", Entry{
		When: "the target's account has not enabled the target's Region",
		Do:   "Enable the Region in that account, or correct the target.",
	})
	RuleFailed = declare("CrossApply.RuleFailed", Entry{
		When:    "the rule that judges the resource cannot be evaluated on it: a CEL expression of the request, or a health check of its kind",
		Do:      "Correct ready.expressions as the message says, or name a condition in ready.condition.",
		Verdict: true,
	})
	Invalid = declare("CrossApply.Invalid", Entry{
		When: "the cluster refuses the resource: its schema, a policy or an admission webhook says no",
		Do:   "Correct the resource as the message says.",
	})
	AlreadyExists = declare("CrossApply.AlreadyExists", Entry{
		When: "the operation create finds an object of that name, somebody else creates and deletes it at every attempt to apply it, or a rollback finds that the object which it shall bring back is still being deleted",
		Do:   "Apply or replace the object, or find out who created it, or what holds its deletion up.",
	})
	NotFound = declare("CrossApply.NotFound", Entry{
		When:    "the object, its namespace, or an object that was applied before is not there",
		Do:      "Create the namespace, or find out who deleted the object.",
		Verdict: true,
	})
	Throttled = declare("CrossApply.Throttled", Entry{
		When:   "AWS or the cluster's API server asks to slow down",
		Do:     "Lower rollout.maxConcurrency, or ask for a higher quota.",
		Passes: true,
	})
	AWSUnavailable = declare("CrossApply.AWSUnavailable", Entry{
		When:   "an AWS API does not answer or reports a fault of its own",
		Do:     "Check the AWS health dashboard of the Region; retry later.",
		Passes: true,
	})
	AWSError = declare("CrossApply.AWSError", Entry{
		When: "an AWS API refuses a call for a reason that has no name in this list; the message names the call and AWS's code",
		Do:   "Look the code up in the documentation of that API.",
	})
	ResourceFailed = declare("CrossApply.ResourceFailed", Entry{
		When:    "the operator says that the resource will not become Ready",
		Do:      "Read the condition in the message and the operator's log on that cluster.",
		Verdict: true,
	})
	ReadyTimeout = declare("CrossApply.ReadyTimeout", Entry{
		When:    "the resource was not Ready within ready.timeoutSeconds; the message says what was seen last",
		Do:      "Check that the operator runs and writes the condition, or allow more time.",
		Verdict: true,
	})
	RolloutStopped = declare("CrossApply.RolloutStopped", Entry{
		When: "a target starts after the failure budget was spent, or after somebody stopped the rollout; the target ends as NotStarted",
		Do:   "Read the answer's failed targets, mend them, and retry.",
	})
	ResourceBusy = declare("CrossApply.ResourceBusy", Entry{
		When: "another execution works on the same resource; the message names it, and nothing was touched",
		Do:   "Wait for that execution, or set rollout.exclusive to false if the two have no target in common.",
	})
	ResultUnreadable = declare("CrossApply.ResultUnreadable", Entry{
		When: "Step Functions wrote a result for the target that cannot be read",
		Do:   "Look at the target's child execution, and retry the target.",
	})
	FirstExecutionStopped = declare("CrossApply.FirstExecutionStopped", Entry{
		When: "the execution that has the request's idempotency key was stopped or timed out, so it has no answer",
		Do:   "Retry that execution, or start with another key.",
	})
	RolloutFailed = declare("CrossApply.RolloutFailed", Entry{
		When: "more targets failed than rollout.maxFailures or a wave allows, a wave was not approved, or the rollout was stopped or broke; the cause is the answer",
		Do:   "Read the answer's message and the errors of its failed targets, do what is said of them here, and retry.",
	})
	Internal = declare("CrossApply.Internal", Entry{
		When: "crossapply met a case that it has no name for: a defect",
		Do:   "Report the message and the execution's ARN.",
	})
)

// catalogue holds every name that is declared.
var catalogue = map[Name]Entry{}

func declare(name Name, entry Entry) Name {
	if _, twice := catalogue[name]; twice {
		panic("the error " + name + " is declared twice")
	}
	catalogue[name] = entry
	return name
}

// Entry says what a name means.
type Entry struct {
	// When completes the sentence "is returned when ...".
	When string
	// Do is what a person does about it.
	Do string
	// Passes says that the same call may succeed a little later: before the wait the
	// definition makes it again.
	Passes bool
	// Verdict says that it ends a target's wait for Ready. Any other error is waited
	// out until the target's time is over.
	Verdict bool
}

// Catalogue returns what every name means.
func Catalogue() map[Name]Entry { return maps.Clone(catalogue) }

// Names returns the closed list, sorted.
func Names() []Name { return slices.Sorted(maps.Keys(catalogue)) }
