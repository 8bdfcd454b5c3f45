package operator

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	testingclock "k8s.io/utils/clock/testing"
)

func TestConditionsFor(t *testing.T) {
	const none = ""
	tests := []struct {
		behavior   Behavior
		generation int64
		over       bool
		ready      metav1.ConditionStatus
		stalled    metav1.ConditionStatus
	}{
		{Converge, 1, false, metav1.ConditionFalse, metav1.ConditionFalse},
		{Converge, 1, true, metav1.ConditionTrue, metav1.ConditionFalse},
		{Converge, 7, false, metav1.ConditionFalse, metav1.ConditionFalse},
		{Silent, 1, false, none, none},
		{Silent, 1, true, none, none},
		{Stalled, 1, false, metav1.ConditionFalse, metav1.ConditionFalse},
		{Stalled, 1, true, metav1.ConditionFalse, metav1.ConditionTrue},
		{Late, 2, false, none, none},
		{Late, 2, true, metav1.ConditionTrue, metav1.ConditionFalse},
		{Stale, 1, true, metav1.ConditionTrue, metav1.ConditionFalse},
		{Stale, 2, false, none, none},
		{Stale, 2, true, none, none},
	}
	for _, tt := range tests {
		got := map[string]metav1.ConditionStatus{}
		for _, c := range conditionsFor(tt.behavior, tt.generation, tt.over) {
			got[c.Type] = c.Status
			if c.ObservedGeneration != tt.generation || c.Reason == "" {
				t.Errorf("%+v: condition %+v lacks the generation or a reason", tt, c)
			}
		}
		if got["Ready"] != tt.ready || got["Stalled"] != tt.stalled {
			t.Errorf("%s, generation %d, over %t: %v, want Ready=%q Stalled=%q", tt.behavior, tt.generation, tt.over, got, tt.ready, tt.stalled)
		}
	}
}

func TestAge(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Unix(1000, 0))
	r := newReconciler(nil, Options{Clock: clock})
	topic := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "orders", "uid": "a", "generation": int64(1)}}}
	expect := func(what string, want time.Duration) {
		t.Helper()
		if got := r.age(topic); got != want {
			t.Errorf("%s: age = %s, want %s", what, got, want)
		}
	}
	expect("first sight", 0)
	clock.SetTime(time.Unix(1005, 0))
	expect("five seconds on", 5*time.Second)
	topic.SetGeneration(2)
	expect("a new generation", 0)
	clock.SetTime(time.Unix(1006, 0))
	topic.SetUID("b")
	expect("deleted and made again", 0)
}

func TestAnnotatedBehavior(t *testing.T) {
	tests := map[string]struct {
		want Behavior
		ok   bool
	}{
		"":         {Converge, true},
		"Converge": {Converge, true},
		"Silent":   {Silent, true},
		"Stalled":  {Stalled, true},
		"Late":     {Late, true},
		"Stale":    {Stale, true},
		"silent":   {"", false},
	}
	for value, tt := range tests {
		topic := &unstructured.Unstructured{}
		if value != "" {
			topic.SetAnnotations(map[string]string{BehaviorAnnotation: value})
		}
		got, err := AnnotatedBehavior(topic)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q: %q, %v, want %q", value, got, err, tt.want)
		}
	}
}
