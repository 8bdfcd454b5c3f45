package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// reconciler brings a Topic's status to what its Behavior says for this moment.
type reconciler struct {
	client  client.Client
	options Options

	mu   sync.Mutex
	seen map[types.NamespacedName]sighting
}

// sighting is when a generation of an object was first looked at. The delay counts
// from it.
type sighting struct {
	uid        types.UID
	generation int64
	at         time.Time
}

func newReconciler(c client.Client, options Options) *reconciler {
	return &reconciler{client: c, options: options, seen: map[types.NamespacedName]sighting{}}
}

// Reconcile implements [reconcile.Reconciler].
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	topic := &unstructured.Unstructured{}
	topic.SetGroupVersionKind(kind)
	if err := r.client.Get(ctx, request.NamespacedName, topic); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(request.NamespacedName)
		}
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	behavior, err := r.options.Behavior(topic)
	if err != nil {
		return reconcile.Result{}, reconcile.TerminalError(err)
	}
	left := r.options.Delay(topic) - r.age(topic)
	conditions := conditionsFor(behavior, topic.GetGeneration(), left <= 0)
	if err := r.report(ctx, topic, conditions); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: max(0, left)}, nil
}

// conditionsFor is the whole of the operator's judgment. None means that the status
// stays as it is.
func conditionsFor(behavior Behavior, generation int64, over bool) []metav1.Condition {
	ready := metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Reconciled", Message: "The topic is as specified"}
	progressing := metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Progressing", Message: "The topic is being made"}
	moving := metav1.Condition{Type: "Stalled", Status: metav1.ConditionFalse, Reason: "Reconciling", Message: "Nothing is in the way"}
	var conditions []metav1.Condition
	switch {
	case behavior == Silent,
		behavior == Late && !over,
		behavior == Stale && generation > 1:
	case !over:
		conditions = []metav1.Condition{progressing, moving}
	case behavior == Stalled:
		const reason, message = "QuotaExceeded", "The broker has no room for the topic's partitions"
		conditions = []metav1.Condition{
			{Type: "Ready", Status: metav1.ConditionFalse, Reason: reason, Message: message},
			{Type: "Stalled", Status: metav1.ConditionTrue, Reason: reason, Message: message},
		}
	default:
		conditions = []metav1.Condition{ready, moving}
	}
	for i := range conditions {
		conditions[i].ObservedGeneration = generation
	}
	return conditions
}

// report writes the conditions unless they stand there already.
func (r *reconciler) report(ctx context.Context, topic *unstructured.Unstructured, wanted []metav1.Condition) error {
	var status struct {
		ObservedGeneration int64              `json:"observedGeneration,omitempty"`
		Conditions         []metav1.Condition `json:"conditions,omitempty"`
	}
	current, _, err := unstructured.NestedMap(topic.Object, "status")
	if err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(current, &status); err != nil {
		return fmt.Errorf("read the status: %w", err)
	}
	changed := false
	for _, condition := range wanted {
		condition.LastTransitionTime = metav1.NewTime(r.options.Clock.Now())
		changed = meta.SetStatusCondition(&status.Conditions, condition) || changed
	}
	if !changed {
		return nil
	}
	status.ObservedGeneration = topic.GetGeneration()
	written, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	topic.Object["status"] = written
	err = r.client.Status().Update(ctx, topic)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // changed or deleted meanwhile: that event brings us back
	}
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

// age is how long the Topic's present generation has been known.
func (r *reconciler) age(topic *unstructured.Unstructured) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	name, now := client.ObjectKeyFromObject(topic), r.options.Clock.Now()
	last := r.seen[name]
	if last.uid != topic.GetUID() || last.generation != topic.GetGeneration() {
		last = sighting{uid: topic.GetUID(), generation: topic.GetGeneration(), at: now}
		r.seen[name] = last
	}
	return now.Sub(last.at)
}

func (r *reconciler) forget(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, name)
}
