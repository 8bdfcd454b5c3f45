package readiness_test

import (
	"cmp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/readiness"
)

// cases are objects and what is said of each, with the parts that most share left
// out.
type cases []struct {
	name   string
	object string
	// kind is "group/Kind" or "Kind"; the default is one that nobody knows.
	kind string
	// The request's.
	expressions contract.ReadyExpressions
	condition   string
	// generation that was applied; 0 means 2
	generation int64
	// noSubresource: the kind has no status subresource.
	noSubresource bool

	state health.State
	// message is how the verdict's message begins.
	message string
	// observed is the verdict's generation; "" where it has none.
	observed string
	// err is what the error says; "" where there is none.
	err string
}

func (all cases) run(t *testing.T) {
	t.Helper()
	for _, test := range all {
		t.Run(test.name, func(t *testing.T) {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.object), &object.Object); err != nil {
				t.Fatal(err)
			}
			group, kind, ok := strings.Cut(cmp.Or(test.kind, "example.com/Widget"), "/")
			if !ok {
				group, kind = "", group
			}
			object.SetKind(kind)
			rule, err := readiness.New(test.expressions, test.condition, schema.GroupKind{Group: group, Kind: kind})
			if err != nil {
				t.Fatal(err)
			}
			before := object.DeepCopy()
			got, err := rule.Judge(object, cmp.Or(test.generation, 2), !test.noSubresource)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %+v, %v, want an error that says %q", got, err, test.err)
				}
				return
			}
			observed := ""
			if got.Observed != nil {
				observed = strconv.FormatInt(*got.Observed, 10)
			}
			if err != nil || got.State != test.state || !strings.HasPrefix(got.Message, test.message) || got.Message == "" || observed != test.observed {
				t.Errorf("got  %s: %q, generation %q, error %v\nwant %s: %q, generation %q", got.State, got.Message, observed, err, test.state, test.message, test.observed)
			}
			if !equality.Semantic.DeepEqual(object, before) {
				t.Error("the object was changed")
			}
		})
	}
}

const (
	ready       = health.Ready
	progressing = health.Progressing
	failed      = health.Failed
)

func TestConditions(t *testing.T) {
	cases{{
		name:   "no status at all is not Ready",
		object: `{}`,
		state:  progressing, message: "the operator has not written a status yet",
	}, {
		name:   "an empty status is none",
		object: `{status: {}}`,
		state:  progressing, message: "the operator has not written a status yet",
	}, {
		name:   "a status without conditions is not Ready",
		object: `{status: {observedGeneration: 2, phase: Running}}`,
		state:  progressing, message: "the operator has not written any status conditions yet",
	}, {
		name:   "other conditions do not count",
		object: `{status: {conditions: [{type: Synced, status: "True"}]}}`,
		state:  progressing, message: "status has no condition Ready yet",
	}, {
		name:   "True for this generation",
		object: `{status: {conditions: [{type: Ready, status: "True", reason: Created, observedGeneration: 2}]}}`,
		state:  ready, message: "Ready=True (Created)", observed: "2",
	}, {
		name:   "True for a later generation",
		object: `{status: {conditions: [{type: Ready, status: "True", observedGeneration: 3}]}}`,
		state:  ready, message: "Ready=True", observed: "3",
	}, {
		name:   "True for an earlier generation is stale",
		object: `{status: {conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`,
		state:  progressing, message: "the operator has not looked at generation 2 yet: Ready=True is for generation 1", observed: "1",
	}, {
		name:   "the status's generation counts where the condition has none",
		object: `{status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`,
		state:  progressing, message: "the operator has not looked at generation 2 yet: Ready=True is for generation 1", observed: "1",
	}, {
		name:   "the condition's generation wins over the status's",
		object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`,
		state:  progressing, message: "the operator has not looked at generation 2 yet: Ready=True is for generation 1", observed: "1",
	}, {
		name:   "also where it is the later one",
		object: `{status: {observedGeneration: 1, conditions: [{type: Ready, status: "True", observedGeneration: 2}]}}`,
		state:  ready, message: "Ready=True", observed: "2",
	}, {
		name:   "a generation in a string",
		object: `{status: {observedGeneration: "1", conditions: [{type: Ready, status: "True"}]}}`,
		state:  progressing, message: "the operator has not looked at generation 2 yet", observed: "1",
	}, {
		name:   "no generation anywhere",
		object: `{status: {conditions: [{type: Ready, status: "True"}]}}`,
		state:  ready, message: "Ready=True",
	}, {
		name:   "what is no generation says nothing",
		object: `{status: {observedGeneration: 5f4d7, conditions: [{type: Ready, status: "True"}]}}`,
		state:  ready, message: "Ready=True",
	}, {
		name:   "False is progress, with its words",
		object: `{status: {conditions: [{type: Ready, status: "False", reason: Creating, message: waiting for brokers, observedGeneration: 2}]}}`,
		state:  progressing, message: "Ready=False (Creating): waiting for brokers", observed: "2",
	}, {
		name:   "Unknown is progress",
		object: `{status: {conditions: [{type: Ready, status: Unknown, observedGeneration: 2}]}}`,
		state:  progressing, message: "Ready=Unknown", observed: "2",
	}, {
		name:   "a status that is not a string is not True",
		object: `{status: {conditions: [{type: Ready, status: true, observedGeneration: 2}]}}`,
		state:  progressing, message: "Ready=", observed: "2",
	}, {
		name:   "Stalled has failed",
		object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "False"}, {type: Stalled, status: "True", reason: QuotaExceeded, message: no room}]}}`,
		state:  failed, message: "Stalled=True (QuotaExceeded): no room", observed: "2",
	}, {
		name:   "Degraded wins over Ready",
		object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}, {type: Degraded, status: "True"}]}}`,
		state:  failed, message: "Degraded=True", observed: "2",
	}, {
		name:   "a failure of an earlier generation does not count",
		object: `{status: {conditions: [{type: Failed, status: "True", observedGeneration: 1}]}}`,
		state:  progressing, message: "status has no condition Ready yet",
	}, {
		name:   "a failure of no generation",
		object: `{status: {conditions: [{type: Degraded, status: "True"}, {type: Ready, status: "False", reason: Repairing}]}}`,
		state:  failed, message: "Degraded=True",
	}, {
		name:   "Failed=False is not a failure",
		object: `{status: {observedGeneration: 2, conditions: [{type: Failed, status: "False"}, {type: Ready, status: "True"}]}}`,
		state:  ready, message: "Ready=True", observed: "2",
	}, {
		name:      "another condition is chosen",
		object:    `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "False"}, {type: Available, status: "True"}]}}`,
		condition: "Available",
		state:     ready, message: "Available=True", observed: "2",
	}, {
		name:      "whoever waits for Degraded means it",
		object:    `{status: {observedGeneration: 2, conditions: [{type: Degraded, status: "True"}]}}`,
		condition: "Degraded",
		state:     ready, message: "Degraded=True", observed: "2",
	}, {
		name:   "malformed entries are passed over",
		object: `{status: {observedGeneration: 2, conditions: [7, null, {type: Ready, status: "True"}]}}`,
		state:  ready, message: "Ready=True", observed: "2",
	}}.run(t)
}

func TestNeverReady(t *testing.T) {
	const (
		deleted = `{metadata: {deletionTimestamp: "2026-11-25T12:00:00Z"}, status: {observedGeneration: 2, phase: Running, conditions: [{type: Ready, status: "True"}]}}`
		silent  = `{metadata: {}, spec: {replicas: 0}}`
	)
	running := contract.ReadyExpressions{Current: "status.phase == 'Running'"}
	cases{
		{name: "deleted, condition Ready", object: deleted, state: progressing, message: "the object is being deleted, since 2026-11-25T12:00:00Z"},
		{name: "deleted, a condition", object: deleted, condition: "Ready", state: progressing, message: "the object is being deleted"},
		{name: "deleted, expressions", object: deleted, expressions: running, state: progressing, message: "the object is being deleted"},
		{name: "deleted, Argo CD's check", object: deleted, kind: "cert-manager.io/Certificate", state: progressing, message: "the object is being deleted"},
		{name: "deleted, a rule of ours", object: deleted, kind: "Service", state: progressing, message: "the object is being deleted"},

		{name: "no status, a condition", object: silent, condition: "Ready", state: progressing, message: "the operator has not written a status yet"},
		{name: "no status, expressions", object: silent, expressions: running, state: progressing, message: "the operator has not written a status yet"},
		{name: "no status, Argo CD's check", object: silent, kind: "argoproj.io/Rollout", state: progressing, message: "the operator has not written a status yet"},
		{name: "no status, a check that forgets the case", object: silent, kind: "datadoghq.com/DatadogMetric", state: progressing, message: "the operator has not written a status yet"},
		{name: "no status, a rule of ours", object: silent, kind: "apps/Deployment", state: progressing, message: "the operator has not written a status yet"},
		{name: "the default status of Flux's kinds is none", object: `{status: {observedGeneration: -1}}`, state: progressing, message: "the operator has not written a status yet"},
	}.run(t)
}

func TestReadyWithoutStatus(t *testing.T) {
	cases{
		{name: "no subresource", object: `{data: {}}`, noSubresource: true, state: ready, message: "the kind has no status"},
		{name: "no subresource, and a status all the same", object: `{status: {conditions: [{type: Ready, status: "False"}]}}`, noSubresource: true,
			state: progressing, message: "Ready=False"},
		{name: "no subresource, but a condition is asked for", object: `{}`, noSubresource: true, condition: "Ready",
			state: progressing, message: "the operator has not written a status yet"},
		{name: "no subresource, but a rule that knows of a status", object: `{spec: {}}`, noSubresource: true, kind: "argoproj.io/Workflow",
			state: progressing, message: "the operator has not written a status yet"},
		{name: "no subresource, and a check", object: `{spec: {}}`, noSubresource: true, kind: "bitnami.com/SealedSecret",
			state: progressing, message: "Progressing: Waiting for Sealed Secret to be decrypted"},
		{name: "a ConfigMap", object: `{data: {}}`, noSubresource: true, kind: "ConfigMap", state: ready, message: "the kind has no status"},

		{name: "an expression that reads no status", object: `{data: {ready: "yes"}}`, expressions: contract.ReadyExpressions{Current: "data.ready == 'yes'"},
			state: ready, message: "expression current is true"},
		{name: "a ProviderConfig that is not used yet", object: `{spec: {}}`, kind: "aws.upbound.io/ProviderConfig", state: ready, message: "Healthy: Resource is up-to-date."},
		{name: "a managed resource beside it", object: `{spec: {}}`, kind: "s3.aws.upbound.io/Bucket", state: progressing, message: "Progressing: Provisioning ..."},
		{name: "a CronJob before its first run", object: `{spec: {}, status: {}}`, kind: "batch/CronJob", state: ready, message: "Healthy: CronJob has not been scheduled yet"},
		{name: "an OCI repository of Flux's", object: `{spec: {type: oci}, status: {observedGeneration: -1}}`, kind: "source.toolkit.fluxcd.io/HelmRepository",
			state: ready, message: "Healthy: Helm repositories of type 'oci'"},
		{name: "another repository of Flux's", object: `{spec: {}, status: {observedGeneration: -1}}`, kind: "source.toolkit.fluxcd.io/HelmRepository",
			state: progressing, message: "Progressing: Status unknown"},
	}.run(t)
}

// Generations count also where the rule does not look at them.
func TestGenerations(t *testing.T) {
	const certificate = "cert-manager.io/Certificate"
	cases{
		{name: "an earlier one", kind: "kafka.strimzi.io/Kafka", object: `{status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`,
			state: progressing, message: "the operator has not looked at generation 2 yet: the status is for generation 1", observed: "1"},
		{name: "an earlier one, failed", kind: "kafka.strimzi.io/Kafka", object: `{status: {observedGeneration: 1, conditions: [{type: NotReady, status: "True"}]}}`,
			state: progressing, message: "the operator has not looked at generation 2 yet: the status is for generation 1", observed: "1"},
		{name: "this one", kind: "kafka.strimzi.io/Kafka", object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}}`,
			state: ready, message: "Healthy", observed: "2"},
		{name: "in a string, and a later one than in metadata", kind: "argoproj.io/Rollout", object: `{metadata: {generation: 2}, spec: {}, status: {observedGeneration: "2", phase: Healthy}}`,
			state: ready, message: "Healthy", observed: "2"},
		{name: "in a string, an earlier one", kind: "argoproj.io/Rollout", object: `{metadata: {generation: 2}, spec: {}, status: {observedGeneration: "1", phase: Healthy}}`,
			state: progressing, message: "the operator has not looked at generation 2 yet", observed: "1"},
		{name: "none", kind: "kafka.strimzi.io/Kafka", object: `{status: {conditions: [{type: Ready, status: "True"}]}}`,
			state: ready, message: "Healthy"},

		{name: "in the conditions", kind: certificate, object: `{status: {conditions: [{type: Ready, status: "True", message: up to date, observedGeneration: 2}]}}`,
			state: ready, message: "Healthy: up to date", observed: "2"},
		{name: "in the conditions, an earlier one", kind: certificate, object: `{status: {conditions: [{type: Ready, status: "True", message: up to date, observedGeneration: 1}]}}`,
			state: progressing, message: "the operator has not looked at generation 2 yet: Ready=True: up to date is for generation 1", observed: "1"},
		{name: "in the conditions, an earlier one that does not decide", kind: certificate,
			object: `{status: {conditions: [{type: Issuing, status: "False", observedGeneration: 1}, {type: Ready, status: "True", observedGeneration: 2}]}}`,
			state:  ready, message: "Healthy", observed: "2"},
		{name: "in some of the conditions only", kind: certificate,
			object: `{status: {conditions: [{type: Issuing, status: "False", observedGeneration: 2}, {type: Ready, status: "True"}]}}`,
			state:  ready, message: "Healthy"},
		{name: "a failure of an earlier one", kind: certificate, object: `{status: {conditions: [{type: Ready, status: "False", observedGeneration: 1}]}}`,
			state: progressing, message: "the operator has not looked at generation 2 yet", observed: "1"},
		{name: "an earlier one without which the check sees a failure", kind: "apiextensions.k8s.io/CustomResourceDefinition",
			object: `{metadata: {}, status: {conditions: [{type: NamesAccepted, status: "True", observedGeneration: 2}, {type: Established, status: "True", message: ok, observedGeneration: 1}]}}`,
			state:  progressing, message: "the operator has not looked at generation 2 yet", observed: "1"},
		{name: "expressions", expressions: contract.ReadyExpressions{Current: "status.phase == 'Running'"}, object: `{status: {observedGeneration: 1, phase: Running}}`,
			state: progressing, message: "the operator has not looked at generation 2 yet: the status is for generation 1", observed: "1"},
	}.run(t)
}

// What the operators of well-known kinds write.
func TestWellKnownKinds(t *testing.T) {
	const crossplane = "rds.aws.upbound.io/Instance"
	cases{
		{name: "Crossplane, provisioned", kind: crossplane, object: `{status: {conditions: [{type: Synced, status: "True"}, {type: Ready, status: "True"}]}}`,
			state: ready, message: "Healthy: Resource is up-to-date."},
		{name: "Crossplane, the update refused", kind: crossplane,
			object: `{status: {conditions: [{type: Ready, status: "True"}, {type: Synced, status: "False", reason: ReconcileError, message: cannot modify engine}]}}`,
			state:  failed, message: "Degraded: cannot modify engine"},
		{name: "Strimzi, creating", kind: "kafka.strimzi.io/Kafka", object: `{status: {observedGeneration: 2, conditions: [{type: NotReady, status: "True", reason: Creating}]}}`,
			state: progressing, message: "Progressing: Waiting for Kafka Cluster", observed: "2"},
		{name: "Strimzi, failed", kind: "kafka.strimzi.io/Kafka",
			object: `{status: {observedGeneration: 2, conditions: [{type: NotReady, status: "True", reason: InvalidResourceException, message: no storage}]}}`,
			state:  failed, message: "Degraded: no storage", observed: "2"},
		{name: "cert-manager, issuing again", kind: "cert-manager.io/Certificate",
			object: `{status: {conditions: [{type: Ready, status: "True", observedGeneration: 2}, {type: Issuing, status: "True", message: renewing, observedGeneration: 2}]}}`,
			state:  progressing, message: "Progressing: renewing", observed: "2"},
		{name: "Rollout, paused", kind: "argoproj.io/Rollout", object: `{metadata: {generation: 2}, spec: {}, status: {observedGeneration: "2", phase: Paused, message: CanaryPauseStep}}`,
			state: progressing, message: "Suspended: CanaryPauseStep", observed: "2"},
		{name: "Rollout, a phase that Argo CD does not know", kind: "argoproj.io/Rollout", object: `{metadata: {generation: 2}, spec: {}, status: {observedGeneration: "2", phase: Odd}}`,
			state: progressing, message: "Unknown (Odd)", observed: "2"},
		{name: "a paused ScaledObject", kind: "keda.sh/ScaledObject",
			object: `{spec: {}, status: {conditions: [{type: Ready, status: "True"}, {type: Active, status: "True"}, {type: Fallback, status: "False"}, {type: Paused, status: "True"}]}}`,
			state:  progressing, message: "Suspended"},

		{name: "Application, synced", kind: "argoproj.io/Application", object: `{status: {health: {status: Healthy}, sync: {status: Synced}}}`, state: ready, message: "Healthy"},
		{name: "Application, healthy in another version", kind: "argoproj.io/Application", object: `{status: {health: {status: Healthy}, sync: {status: OutOfSync}}}`,
			state: progressing, message: "the application is healthy, and OutOfSync"},
		{name: "Application, degraded", kind: "argoproj.io/Application", object: `{status: {health: {status: Degraded, message: crashing}, sync: {status: Synced}}}`,
			state: failed, message: "Degraded: crashing"},
		{name: "Application, nothing there", kind: "argoproj.io/Application", object: `{status: {health: {status: Missing}, sync: {status: OutOfSync}}}`,
			state: progressing, message: "Missing"},
		{name: "Application, before its health is known", kind: "argoproj.io/Application", object: `{status: {sync: {status: OutOfSync}}}`, state: progressing, message: "Unknown"},
		{name: "Workflow, running", kind: "argoproj.io/Workflow", object: `{status: {phase: Running, progress: 1/2}}`, state: progressing, message: "phase Running"},
		{name: "Workflow, done", kind: "argoproj.io/Workflow", object: `{status: {phase: Succeeded}}`, state: ready, message: "phase Succeeded"},
		{name: "Workflow, failed", kind: "argoproj.io/Workflow", object: `{status: {phase: Error, message: no such image}}`, state: failed, message: "phase Error: no such image"},

		{name: "ACK", kind: "s3.services.k8s.aws/Bucket", object: `{status: {conditions: [{type: Ready, status: "True", message: Resource synced successfully}]}}`,
			state: ready, message: "Ready=True: Resource synced successfully"},
		{name: "ACK before 2025", kind: "s3.services.k8s.aws/Bucket", object: `{status: {conditions: [{type: ACK.ResourceSynced, status: "True"}]}}`,
			state: ready, message: "ACK.ResourceSynced=True"},
		{name: "ACK, to be repeated", kind: "s3.services.k8s.aws/Bucket",
			object: `{status: {conditions: [{type: ACK.Recoverable, status: "True", message: throttled}, {type: ACK.ResourceSynced, status: "False"}]}}`,
			state:  progressing, message: "ACK.ResourceSynced=False"},
		{name: "ACK, hopeless", kind: "s3.services.k8s.aws/Bucket",
			object: `{status: {conditions: [{type: ACK.Terminal, status: "True", message: InvalidBucketName}, {type: ACK.ResourceSynced, status: "False"}]}}`,
			state:  failed, message: "ACK.Terminal=True: InvalidBucketName"},
	}.run(t)
}

func TestWhatJudges(t *testing.T) {
	expressions := contract.ReadyExpressions{Current: "true"}
	for _, test := range []struct {
		expressions contract.ReadyExpressions
		condition   string
		kind        schema.GroupKind
		want        string
	}{
		{expressions, "Synced", schema.GroupKind{Group: "argoproj.io", Kind: "Rollout"}, "the request's expressions"},
		{contract.ReadyExpressions{}, "Synced", schema.GroupKind{Group: "argoproj.io", Kind: "Rollout"}, "condition Synced"},
		{contract.ReadyExpressions{}, "", schema.GroupKind{Group: "argoproj.io", Kind: "Rollout"}, "Argo CD's health check for argoproj.io/Rollout"},
		{contract.ReadyExpressions{}, "", schema.GroupKind{Group: "apps", Kind: "Deployment"}, "crossapply's rule for apps/Deployment"},
		{contract.ReadyExpressions{}, "", schema.GroupKind{Kind: "Pod"}, "crossapply's rule for Pod"},
		{contract.ReadyExpressions{}, "", schema.GroupKind{Group: "batch", Kind: "Job"}, "condition Complete"},
		{contract.ReadyExpressions{}, "", schema.GroupKind{Group: "sqs.services.k8s.aws", Kind: "Queue"}, "condition Ready or ACK.ResourceSynced"},
		{contract.ReadyExpressions{}, "", schema.GroupKind{Group: "example.com", Kind: "Widget"}, "condition Ready"},
	} {
		rule, err := readiness.New(test.expressions, test.condition, test.kind)
		if err != nil || rule.String() != test.want {
			t.Errorf("%s: got %v, %v, want %s", test.kind, rule, err, test.want)
		}
	}
}

// One rule may judge many objects at once.
func TestRuleIsShared(t *testing.T) {
	for _, expressions := range []contract.ReadyExpressions{{}, {Current: "status.phase == 'Healthy'"}} {
		rule, err := readiness.New(expressions, "", schema.GroupKind{Group: "argoproj.io", Kind: "Rollout"})
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"generation": int64(1)},
			"spec": map[string]any{}, "status": map[string]any{"observedGeneration": "1", "phase": "Healthy"}}}
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if verdict, err := rule.Judge(object, 1, true); err != nil || verdict.State != ready {
					t.Errorf("%s: got %+v, %v", rule, verdict, err)
				}
			})
		}
		group.Wait()
	}
}
