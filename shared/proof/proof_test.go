package proof_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/fault"
	"github.com/crossapply/crossapply/shared/health"
	"github.com/crossapply/crossapply/shared/proof"
	"github.com/crossapply/crossapply/shared/readiness"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// status is what an operator wrote: the condition Ready, or Stalled.
type status struct {
	ready, stalled string
	observed       int64 // 0: the operator does not say
	message        string
}

func object(generation int64, s status) *unstructured.Unstructured {
	conditions := []any{}
	add := func(kind, value string) {
		if value != "" {
			conditions = append(conditions, map[string]any{"type": kind, "status": value, "message": s.message})
		}
	}
	add("Ready", s.ready)
	add("Stalled", s.stalled)
	inner := map[string]any{"conditions": conditions}
	if s.observed > 0 {
		inner["observedGeneration"] = s.observed
	}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Thing", "status": inner}}
	u.SetUID("u")
	u.SetGeneration(generation)
	return u
}

// at is one look: so many seconds after the apply, of which the first is the
// apply's own.
type at struct {
	seconds int
	status  status
}

func TestVerdicts(t *testing.T) {
	const settle, grace = 10, 30
	created := contract.Applied{Change: contract.Created, Generation: 1}
	raised := contract.Applied{Change: contract.Configured, GenerationBefore: 1, Generation: 2}
	labels := contract.Applied{Change: contract.Configured, GenerationBefore: 1, Generation: 1}
	unchanged := contract.Applied{Change: contract.Unchanged, GenerationBefore: 1, Generation: 1}
	tests := []struct {
		name    string
		applied contract.Applied
		require bool
		looks   []at
		// decided is when, in seconds after the apply, the verdict is there; -1: never.
		decided int
		state   health.State
		proof   contract.Proof
		says    string
	}{
		{
			name: "the operator speaks of the generation", applied: raised,
			looks:   []at{{0, status{ready: "True", observed: 1}}, {3, status{ready: "True", observed: 2}}},
			decided: 3, state: health.Ready, proof: contract.ProofGeneration,
		},
		{
			name: "created, and no generation", applied: created,
			looks:   []at{{0, status{}}, {3, status{ready: "True"}}},
			decided: 3, state: health.Ready, proof: contract.ProofNew,
		},
		{
			name: "unchanged", applied: unchanged,
			looks:   []at{{0, status{ready: "True"}}},
			decided: 0, state: health.Ready, proof: contract.ProofUnchanged,
		},
		{
			name: "no generation, and the status is written again", applied: raised,
			looks:   []at{{0, status{ready: "True"}}, {3, status{ready: "True", message: "again"}}},
			decided: 3, state: health.Ready, proof: contract.ProofStatus,
		},
		{
			name: "no generation, and an old Ready that stands", applied: raised,
			looks:   []at{{0, status{ready: "True"}}},
			decided: settle, state: health.Ready, proof: contract.ProofSettled,
		},
		{
			name: "no generation, and an old Ready that goes before it is believed", applied: raised,
			looks:   []at{{0, status{ready: "True"}}, {settle - 1, status{ready: "False"}}},
			decided: -1, says: "Ready=False",
		},
		{
			name: "only labels changed: the generation says nothing", applied: labels,
			looks:   []at{{0, status{ready: "True", observed: 1}}},
			decided: settle, state: health.Ready, proof: contract.ProofSettled,
		},
		{
			name: "the generation is required, and given", applied: raised, require: true,
			looks:   []at{{0, status{ready: "True"}}, {3, status{ready: "True", observed: 2}}},
			decided: 3, state: health.Ready, proof: contract.ProofGeneration,
		},
		{
			name: "the generation is required, and never given", applied: created, require: true,
			looks:   []at{{0, status{ready: "True"}}},
			decided: -1, says: "does not say that it speaks of generation 1, which ready.requireGeneration asks for",
		},
		{
			name: "flapping", applied: raised,
			looks: []at{{0, status{ready: "False", observed: 2}}, {1, status{ready: "Unknown", observed: 2}}, {2, status{ready: "False", observed: 2}},
				{3, status{ready: "True", observed: 2}}},
			decided: 3, state: health.Ready, proof: contract.ProofGeneration,
		},
		{
			name: "failed for longer than the grace", applied: raised,
			looks:   []at{{0, status{}}, {3, status{stalled: "True", observed: 2}}},
			decided: 3 + grace, state: health.Failed, says: "Stalled=True",
		},
		{
			name: "a failure that passes within the grace", applied: raised,
			looks:   []at{{0, status{}}, {3, status{stalled: "True", observed: 2}}, {grace, status{ready: "True", observed: 2}}},
			decided: grace, state: health.Ready, proof: contract.ProofGeneration,
		},
		{
			name: "a failure that comes back gets its grace again", applied: raised,
			looks: []at{{0, status{}}, {3, status{stalled: "True", observed: 2}}, {20, status{ready: "False", observed: 2}},
				{25, status{stalled: "True", observed: 2}}},
			decided: 25 + grace, state: health.Failed, says: "Stalled=True",
		},
		{
			name: "a failure left over from before the apply", applied: raised,
			looks:   []at{{0, status{stalled: "True"}}},
			decided: -1, says: "left over from before the apply",
		},
		{
			name: "a failure left over, then written again", applied: raised,
			looks:   []at{{0, status{stalled: "True"}}, {60, status{stalled: "True", message: "again"}}},
			decided: 60 + grace, state: health.Failed, says: "Stalled=True: again",
		},
		{
			name: "a failure left over where only labels changed", applied: labels,
			looks:   []at{{0, status{stalled: "True", observed: 1}}},
			decided: -1, says: "left over from before the apply",
		},
		{
			name: "the failure of an object that the apply did not change", applied: unchanged,
			looks:   []at{{0, status{stalled: "True"}}},
			decided: grace, state: health.Failed, says: "Stalled=True",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			judge := judgeOf(t, test.applied, object(1, test.looks[0].status))
			judge.Settings = contract.ReadySettings{SettleSeconds: settle, FailureGraceSeconds: grace, RequireGeneration: test.require}
			var seen contract.Seen
			looks := test.looks
			for second := range 121 {
				now := noon.Add(time.Duration(second) * time.Second)
				if len(looks) > 0 && looks[0].seconds == second {
					var err error
					if seen, err = judge.Look(seen, object(test.applied.Generation, looks[0].status), now); err != nil {
						t.Fatal(err)
					}
					looks = looks[1:]
				}
				decision := judge.Decide(seen, now)
				if decision.State == health.Progressing {
					if second == 120 && (test.decided != -1 || !strings.Contains(decision.Message, test.says)) {
						t.Errorf("no verdict: %+v, want one after %d s, or %q", decision, test.decided, test.says)
					}
					if due := test.decided == settle || test.decided >= grace; due && len(looks) == 0 && second < test.decided && test.state == health.Failed &&
						!decision.At.Equal(noon.Add(time.Duration(test.decided)*time.Second)) {
						t.Fatalf("after %d s the verdict is due at %s", second, decision.At)
					}
					continue
				}
				if second != test.decided || decision.State != test.state || decision.Proof != test.proof || !strings.Contains(decision.Message, test.says) {
					t.Errorf("after %d s: %+v, want %s by %q after %d s", second, decision, test.state, test.proof, test.decided)
				}
				return
			}
		})
	}
}

// judgeOf returns the judge of an object that an apply left as it is.
func judgeOf(t *testing.T, applied contract.Applied, after *unstructured.Unstructured) proof.Judge {
	t.Helper()
	rule, err := readiness.New(contract.ReadyExpressions{}, "Ready", schema.GroupKind{Group: "example.com", Kind: "Thing"})
	if err != nil {
		t.Fatal(err)
	}
	applied.UID = "u"
	applied.StatusHash, applied.OwnedHash = proof.StatusHash(after), proof.OwnedHash(after, "crossapply")
	return proof.Judge{
		Target: contract.Target{Account: "111111111111", Region: "eu-west-1", Cluster: "payments"}, Resource: contract.ResourceRef{Kind: "Thing", Name: "x"},
		Rule: rule, Applied: applied, Manager: "crossapply", HasStatus: true,
		Taken: func(*unstructured.Unstructured) (string, error) { return "", errors.New("nobody asked for this") },
	}
}

func TestGoneOrReplaced(t *testing.T) {
	ready := object(1, status{ready: "True"})
	judge := judgeOf(t, contract.Applied{Change: contract.Created, Generation: 1}, ready)
	another := ready.DeepCopy()
	another.SetUID("another")
	for name, object := range map[string]*unstructured.Unstructured{"gone": nil, "replaced": another} {
		_, err := judge.Look(contract.Seen{}, object, noon)
		if fault.NameOf(err) != fault.NotFound || !strings.HasPrefix(err.Error(), "111111111111/eu-west-1/payments: Thing x is gone") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing that stands for a while could prove more of an object whose kind has no
// status, also where a generation is asked for.
func TestNoStatus(t *testing.T) {
	after := object(0, status{})
	delete(after.Object, "status")
	judge := judgeOf(t, contract.Applied{Change: contract.Configured}, after)
	var err error
	if judge.Rule, err = readiness.Of(contract.ReadySettings{}, contract.ResourceRef{APIVersion: "v1", Kind: "ConfigMap"}); err != nil {
		t.Fatal(err)
	}
	judge.HasStatus, judge.Settings.SettleSeconds, judge.Settings.RequireGeneration = false, 10, true
	seen, err := judge.Look(contract.Seen{}, after, noon)
	if err != nil {
		t.Fatal(err)
	}
	if decision := judge.Decide(seen, noon); decision.State != health.Ready || decision.Proof != contract.ProofNoStatus {
		t.Errorf("%+v", decision)
	}
}

// Who owns what is asked only where it matters: at Ready, when it has changed.
func TestTakenIsAskedWhereOwnershipChanged(t *testing.T) {
	applied := object(1, status{})
	applied.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "crossapply", Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:a":{},"f:b":{}}}`)}})
	judge := judgeOf(t, contract.Applied{Change: contract.Created, Generation: 1}, applied)
	judge.Taken = func(*unstructured.Unstructured) (string, error) { return ".spec.b (by other)", nil }
	for _, test := range []struct {
		ready, owned, want string
	}{
		{"True", `{"f:spec":{"f:a":{},"f:b":{}}}`, ""},
		{"False", `{"f:spec":{"f:a":{}}}`, ""},
		{"True", `{"f:spec":{"f:a":{}}}`, ".spec.b (by other)"},
	} {
		now := object(1, status{ready: test.ready})
		now.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "crossapply", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(test.owned)}})
		seen, err := judge.Look(contract.Seen{}, now, noon)
		if err != nil || seen.Overwritten != test.want {
			t.Errorf("Ready=%s and %s: %q, %v, want %q", test.ready, test.owned, seen.Overwritten, err, test.want)
		}
	}
}
