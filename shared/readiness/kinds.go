package readiness

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/health"
)

// conditionsFor returns the conditions that matter of a kind where they are not
// Ready alone; nil for other kinds.
func conditionsFor(kind schema.GroupKind) []string {
	switch kind {
	case schema.GroupKind{Group: "apiregistration.k8s.io", Kind: "APIService"}:
		return []string{"Available"}
	case schema.GroupKind{Group: "batch", Kind: "Job"}:
		return []string{"Complete"}
	}
	// The AWS Controllers for Kubernetes have Ready since 2025, which means what
	// ACK.ResourceSynced meant before.
	// https://github.com/aws-controllers-k8s/runtime/blob/main/apis/core/v1alpha1/conditions.go
	if strings.HasSuffix(kind.Group, ".services.k8s.aws") {
		return []string{"Ready", "ACK.ResourceSynced"}
	}
	return nil
}

// kinds are rules for Kubernetes' own kinds, and for the two of Argo's for which
// Argo CD has no script. Those of the rollouts are kubectl rollout status's:
// https://github.com/kubernetes/kubernetes/blob/v1.34.0/staging/src/k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go
// The rules of kstatus would add as much as the typed Kubernetes API weighs, and
// call a Job Ready that has only started, and a Pod that has failed.
var kinds = map[schema.GroupKind]func(object map[string]any) health.Verdict{
	{Group: "apps", Kind: "Deployment"}:                     observed(deployment),
	{Group: "apps", Kind: "StatefulSet"}:                    observed(statefulSet),
	{Group: "apps", Kind: "DaemonSet"}:                      observed(daemonSet),
	{Group: "apps", Kind: "ReplicaSet"}:                     observed(replicaSet),
	{Kind: "Pod"}:                                           pod,
	{Kind: "Service"}:                                       service,
	{Kind: "Namespace"}:                                     phases([]string{"Active"}, nil),
	{Kind: "PersistentVolumeClaim"}:                         phases([]string{"Bound"}, []string{"Lost"}),
	{Kind: "PersistentVolume"}:                              phases([]string{"Available", "Bound"}, []string{"Failed"}),
	{Kind: "ResourceQuota"}:                                 resourceQuota,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}: autoscaler,
	{Group: "networking.k8s.io", Kind: "Ingress"}:           loadBalancer,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingAdmissionPolicy"}: observed(validatingAdmissionPolicy),
	{Group: "argoproj.io", Kind: "Application"}:                                application,
	{Group: "argoproj.io", Kind: "Workflow"}:                                   phases([]string{"Succeeded"}, []string{"Failed", "Error"}),
}

func kindRule(kind schema.GroupKind, of func(object map[string]any) health.Verdict) *Rule {
	return &Rule{
		name:        "crossapply's rule for " + nameOf(kind),
		judge:       ofGeneration(func(object map[string]any) (health.Verdict, error) { return of(object), nil }),
		judgeSilent: waitForStatus,
	}
}

// observed is for kinds whose controllers always say of which generation they
// speak. A status without that is the API server's, which writes the zeros that
// an empty status of these kinds consists of: no pod wanted, and none there.
func observed(of func(object map[string]any) health.Verdict) func(object map[string]any) health.Verdict {
	return func(object map[string]any) health.Verdict {
		if generationIn(statusOf(object)) == nil {
			return progressing("the controller has not looked at it yet")
		}
		return of(object)
	}
}

func deployment(object map[string]any) health.Verdict {
	wanted := wantedReplicas(object)
	total, updated, available := count(object, "replicas"), count(object, "updatedReplicas"), count(object, "availableReplicas")
	paused, _, _ := unstructured.NestedBool(object, "spec", "paused")
	switch c := conditionsOf(object)["Progressing"]; {
	case c.reason == "ProgressDeadlineExceeded":
		return health.Verdict{State: health.Failed, Message: c.String()}
	case paused:
		return progressing("the rollout is paused")
	case updated < wanted:
		return progressing(fmt.Sprintf("%d of %d replicas are updated", updated, wanted))
	case total > updated:
		return progressing(fmt.Sprintf("%d old replicas are not terminated yet", total-updated))
	case available < updated:
		return progressing(fmt.Sprintf("%d of %d updated replicas are available", available, updated))
	}
	return health.Verdict{State: health.Ready, Message: fmt.Sprintf("all %d replicas are updated and available", wanted)}
}

func statefulSet(object map[string]any) health.Verdict {
	wanted := wantedReplicas(object)
	ready, updated := count(object, "readyReplicas"), count(object, "updatedReplicas")
	if ready < wanted {
		return progressing(fmt.Sprintf("%d of %d replicas are ready", ready, wanted))
	}
	if stringAt(object, "spec", "updateStrategy", "type") == "OnDelete" {
		return health.Verdict{State: health.Ready, Message: fmt.Sprintf("all %d replicas are ready; they are updated when somebody deletes them", wanted)}
	}
	// The replicas below the partition keep their old revision.
	partition, _ := numberAt(object, "spec", "updateStrategy", "rollingUpdate", "partition")
	if updated < wanted-partition {
		return progressing(fmt.Sprintf("%d of %d replicas are updated", updated, wanted-partition))
	}
	current, update := stringAt(object, "status", "currentRevision"), stringAt(object, "status", "updateRevision")
	if partition == 0 && current != update {
		return progressing(fmt.Sprintf("revision %s is not current yet", update))
	}
	return health.Verdict{State: health.Ready, Message: fmt.Sprintf("all %d replicas are ready, %d of them updated", wanted, updated)}
}

func daemonSet(object map[string]any) health.Verdict {
	wanted := count(object, "desiredNumberScheduled")
	updated, available := count(object, "updatedNumberScheduled"), count(object, "numberAvailable")
	onDelete := stringAt(object, "spec", "updateStrategy", "type") == "OnDelete"
	switch {
	case updated < wanted && !onDelete:
		return progressing(fmt.Sprintf("%d of %d pods are updated", updated, wanted))
	case available < wanted:
		return progressing(fmt.Sprintf("%d of %d pods are available", available, wanted))
	}
	return health.Verdict{State: health.Ready, Message: fmt.Sprintf("all %d pods are available, %d of them updated", wanted, updated)}
}

func replicaSet(object map[string]any) health.Verdict {
	wanted := wantedReplicas(object)
	total, available := count(object, "replicas"), count(object, "availableReplicas")
	switch c := conditionsOf(object)["ReplicaFailure"]; {
	case c.status == "True":
		return health.Verdict{State: health.Failed, Message: c.String()}
	case total > wanted:
		return progressing(fmt.Sprintf("%d replicas are not terminated yet", total-wanted))
	case available < wanted:
		return progressing(fmt.Sprintf("%d of %d replicas are available", available, wanted))
	}
	return health.Verdict{State: health.Ready, Message: fmt.Sprintf("all %d replicas are available", wanted)}
}

// pod is Ready when it is ready or has succeeded. One that cannot be scheduled is
// progressing, since a cluster autoscaler takes just that for its order.
func pod(object map[string]any) health.Verdict {
	conditions := conditionsOf(object)
	switch phase := stringAt(object, "status", "phase"); phase {
	case "Succeeded":
		return health.Verdict{State: health.Ready, Message: "the pod has succeeded"}
	case "Failed":
		return health.Verdict{State: health.Failed, Message: sentence("the pod has failed", stringAt(object, "status", "reason"), stringAt(object, "status", "message"))}
	default:
		if ready := conditions["Ready"]; ready.status == "True" {
			return health.Verdict{State: health.Ready, Message: ready.String()}
		}
		if why := stuckContainer(object); why != "" {
			return health.Verdict{State: health.Failed, Message: why}
		}
		if scheduled := conditions["PodScheduled"]; scheduled.status == "False" {
			return progressing(scheduled.String())
		}
		return progressing("the pod is " + phase)
	}
}

// stuckContainer describes the first container that waits because of an error:
// CrashLoopBackOff, ErrImagePull, CreateContainerConfigError, ...
func stuckContainer(object map[string]any) string {
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		containers, _, _ := unstructured.NestedSlice(object, "status", list)
		for _, entry := range containers {
			container, _ := entry.(map[string]any)
			reason := stringAt(container, "state", "waiting", "reason")
			if strings.HasPrefix(reason, "Err") || strings.HasSuffix(reason, "Error") || strings.HasSuffix(reason, "BackOff") || reason == "InvalidImageName" {
				return sentence("container "+text(container, "name"), reason, stringAt(container, "state", "waiting", "message"))
			}
		}
	}
	return ""
}

func service(object map[string]any) health.Verdict {
	if stringAt(object, "spec", "type") == "LoadBalancer" {
		return loadBalancer(object)
	}
	return health.Verdict{State: health.Ready, Message: "the service needs no load balancer"}
}

func loadBalancer(object map[string]any) health.Verdict {
	if addresses, _, _ := unstructured.NestedSlice(object, "status", "loadBalancer", "ingress"); len(addresses) == 0 {
		return progressing("the load balancer has no address yet")
	}
	return health.Verdict{State: health.Ready, Message: "the load balancer has an address"}
}

// autoscaler is Ready when it scales, or would if its target were not scaled to
// zero. Metrics that are not there yet are progress.
func autoscaler(object map[string]any) health.Verdict {
	conditions := conditionsOf(object)
	// In autoscaling/v1 they are in an annotation.
	var entries []any
	if json.Unmarshal([]byte(stringAt(object, "metadata", "annotations", "autoscaling.alpha.kubernetes.io/conditions")), &entries) == nil {
		conditions = conditionsOf(withConditions(object, entries))
	}
	able, active := conditions["AbleToScale"], conditions["ScalingActive"]
	switch {
	case able.kind == "" || active.kind == "":
		return progressing("status has no conditions AbleToScale and ScalingActive yet")
	case able.status != "True":
		return progressing(able.String())
	case active.status != "True" && active.reason != "ScalingDisabled":
		return progressing(active.String())
	}
	return health.Verdict{State: health.Ready, Message: active.String()}
}

func resourceQuota(object map[string]any) health.Verdict {
	asked, _, _ := unstructured.NestedMap(object, "spec", "hard")
	counted, _, _ := unstructured.NestedMap(object, "status", "hard")
	if !reflect.DeepEqual(asked, counted) {
		return progressing("the quota is not in force yet")
	}
	return health.Verdict{State: health.Ready, Message: "the quota is in force"}
}

func validatingAdmissionPolicy(object map[string]any) health.Verdict {
	if warnings, _, _ := unstructured.NestedSlice(object, "status", "typeChecking", "expressionWarnings"); len(warnings) > 0 {
		return health.Verdict{State: health.Ready, Message: fmt.Sprintf("the policy is checked, with %d warnings in status.typeChecking", len(warnings))}
	}
	return health.Verdict{State: health.Ready, Message: "the policy is checked"}
}

// application is Ready as argocd app wait sees it: healthy and synced. (Argo CD
// itself takes the first alone, where one asks for it: an application may be
// healthy in the version before.)
func application(object map[string]any) health.Verdict {
	word, synced := stringAt(object, "status", "health", "status"), stringAt(object, "status", "sync", "status")
	verdict := verdictOfHealth(word, stringAt(object, "status", "health", "message"))
	if verdict.State == health.Ready && synced != "" && synced != "Synced" {
		return progressing("the application is healthy, and " + synced)
	}
	return verdict
}

// phases judges by status.phase. Any other phase is progress.
func phases(ready, failed []string) func(object map[string]any) health.Verdict {
	return func(object map[string]any) health.Verdict {
		phase := stringAt(object, "status", "phase")
		verdict := health.Verdict{State: health.Progressing, Message: sentence("phase "+phase, "", stringAt(object, "status", "message"))}
		switch {
		case slices.Contains(ready, phase):
			verdict.State = health.Ready
		case slices.Contains(failed, phase):
			verdict.State = health.Failed
		case phase == "":
			verdict.Message = "status has no phase yet"
		}
		return verdict
	}
}

// wantedReplicas returns spec.replicas, which is 1 where it is not set.
func wantedReplicas(object map[string]any) int64 {
	if replicas, ok := numberAt(object, "spec", "replicas"); ok {
		return replicas
	}
	return 1
}

// count returns a number in the status; zeros are left out there.
func count(object map[string]any, field string) int64 {
	number, _ := numberAt(object, "status", field)
	return number
}

func numberAt(object map[string]any, path ...string) (int64, bool) {
	value, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	return whole(value)
}

func stringAt(object map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(object, path...)
	return value
}
