package readiness_test

import (
	"cmp"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/crossapply/crossapply/shared/readiness"
)

func TestOf(t *testing.T) {
	tests := []struct {
		name      string
		object    string
		condition string
		// generation that was applied; 0 means 2
		generation int64
		want       readiness.Verdict
	}{{
		name:   "no status at all is not Ready",
		object: `{}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "the operator has not written any status conditions yet"},
	}, {
		name:   "a status without conditions is not Ready",
		object: `{status: {observedGeneration: 2, phase: Running}}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "the operator has not written any status conditions yet"},
	}, {
		name:   "other conditions do not count",
		object: `{status: {conditions: [{type: Synced, status: "True"}]}}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "status has no condition Ready yet"},
	}, {
		name:   "True for this generation",
		object: `{status: {conditions: [{type: Ready, status: "True", reason: Created, observedGeneration: 2}]}}`,
		want:   readiness.Verdict{State: readiness.Ready, Message: "Ready=True (Created)"},
	}, {
		name:   "True for a later generation",
		object: `{status: {conditions: [{type: Ready, status: "True", observedGeneration: 3}]}}`,
		want:   readiness.Verdict{State: readiness.Ready, Message: "Ready=True"},
	}, {
		name:   "True for an earlier generation is stale",
		object: `{status: {conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`,
		want: readiness.Verdict{State: readiness.Progressing,
			Message: "the operator has not looked at generation 2 yet: Ready=True is for generation 1"},
	}, {
		name:   "the status's generation counts where the condition has none",
		object: `{status: {observedGeneration: 1, conditions: [{type: Ready, status: "True"}]}}`,
		want: readiness.Verdict{State: readiness.Progressing,
			Message: "the operator has not looked at generation 2 yet: Ready=True is for generation 1"},
	}, {
		name:   "the condition's generation wins over the status's",
		object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "True", observedGeneration: 1}]}}`,
		want: readiness.Verdict{State: readiness.Progressing,
			Message: "the operator has not looked at generation 2 yet: Ready=True is for generation 1"},
	}, {
		name:   "no generation anywhere is Ready but unproven",
		object: `{status: {conditions: [{type: Ready, status: "True"}]}}`,
		want:   readiness.Verdict{State: readiness.Ready, Message: "Ready=True", Unproven: true},
	}, {
		name:   "False is progress, with its words",
		object: `{status: {conditions: [{type: Ready, status: "False", reason: Creating, message: waiting for brokers, observedGeneration: 2}]}}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "Ready=False (Creating): waiting for brokers"},
	}, {
		name:   "a status that is not a string is not True",
		object: `{status: {conditions: [{type: Ready, status: true, observedGeneration: 2}]}}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "Ready="},
	}, {
		name:   "Stalled ends the wait",
		object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "False"}, {type: Stalled, status: "True", reason: QuotaExceeded, message: no room}]}}`,
		want:   readiness.Verdict{State: readiness.Failed, Message: "Stalled=True (QuotaExceeded): no room"},
	}, {
		name:   "Degraded wins over Ready",
		object: `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}, {type: Degraded, status: "True"}]}}`,
		want:   readiness.Verdict{State: readiness.Failed, Message: "Degraded=True"},
	}, {
		name:   "a failure of an earlier generation does not count",
		object: `{status: {conditions: [{type: Failed, status: "True", observedGeneration: 1}]}}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "status has no condition Ready yet"},
	}, {
		name:   "a failure that may be left over does not count",
		object: `{status: {conditions: [{type: Degraded, status: "True"}, {type: Ready, status: "False", reason: Repairing}]}}`,
		want:   readiness.Verdict{State: readiness.Progressing, Message: "Ready=False (Repairing)"},
	}, {
		name:       "a new object has nothing left over",
		object:     `{status: {conditions: [{type: Degraded, status: "True"}]}}`,
		generation: 1,
		want:       readiness.Verdict{State: readiness.Failed, Message: "Degraded=True"},
	}, {
		name:   "Failed=False is not a failure",
		object: `{status: {observedGeneration: 2, conditions: [{type: Failed, status: "False"}, {type: Ready, status: "True"}]}}`,
		want:   readiness.Verdict{State: readiness.Ready, Message: "Ready=True"},
	}, {
		name:      "another condition is chosen",
		object:    `{status: {observedGeneration: 2, conditions: [{type: Ready, status: "False"}, {type: Available, status: "True"}]}}`,
		condition: "Available",
		want:      readiness.Verdict{State: readiness.Ready, Message: "Available=True"},
	}, {
		name:   "malformed entries are passed over",
		object: `{status: {observedGeneration: 2, conditions: [7, null, {type: Ready, status: "True"}]}}`,
		want:   readiness.Verdict{State: readiness.Ready, Message: "Ready=True"},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(test.object), &object.Object); err != nil {
				t.Fatal(err)
			}
			rule := readiness.Rule{Condition: "Ready", Generation: cmp.Or(test.generation, 2)}
			if test.condition != "" {
				rule.Condition = test.condition
			}
			if got := readiness.Of(object, rule); got != test.want {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}
