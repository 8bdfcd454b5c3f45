package readiness

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// State is what an object says of itself.
type State string

// The states.
const (
	// Ready: the condition is True for the generation that was applied.
	Ready State = "Ready"
	// Progressing: it may still become Ready.
	Progressing State = "Progressing"
	// Failed: the operator says that it will not become Ready.
	Failed State = "Failed"
)

// failing are the condition types by which operators say "this will not work":
// Stalled is kstatus's, Failed and Degraded are in wide use. One that is True
// for the applied generation ends the wait; one that may be left over from an
// earlier generation does not, or no repair could ever be applied.
var failing = []string{"Stalled", "Failed", "Degraded"}

// Rule is what an object must say to be Ready.
type OldRule struct {
	// Condition is the type of the condition that must be True.
	Condition string
	// Generation is the metadata.generation that the apply returned; what the
	// operator says about an earlier one does not count.
	Generation int64
}

// Verdict is the state of an object, and why.
type Verdict struct {
	State State
	// Message is one sentence for a person.
	Message string
	// Unproven is set with Ready when neither the condition nor the status says
	// which generation it speaks of.
	Unproven bool
	Observed *int64
}

// Of judges an object by the rule. It is a pure function of the two.
func Of(object *unstructured.Unstructured, rule OldRule) Verdict {
	conditions := conditionsOf(object)
	for _, kind := range failing {
		// Whoever waits for Degraded=True means it.
		if kind == rule.Condition {
			continue
		}
		if c, ok := conditions[kind]; ok && c.status == "True" && c.fresh(rule.Generation) {
			return Verdict{State: Failed, Message: c.String()}
		}
	}
	c, ok := conditions[rule.Condition]
	switch {
	case !ok && len(conditions) == 0:
		return Verdict{State: Progressing, Message: "the operator has not written any status conditions yet"}
	case !ok:
		return Verdict{State: Progressing, Message: fmt.Sprintf("status has no condition %s yet", rule.Condition)}
	case c.stale(rule.Generation):
		return Verdict{State: Progressing, Message: fmt.Sprintf(
			"the operator has not looked at generation %d yet: %s is for generation %d", rule.Generation, c, *c.observed)}
	case c.status != "True":
		return Verdict{State: Progressing, Message: c.String()}
	}
	return Verdict{State: Ready, Message: c.String(), Unproven: c.observed == nil}
}

// condition is one entry of status.conditions.
type condition struct {
	kind, status, reason, message string
	// observed is the generation that the condition, or else the status, says
	// it speaks of; nil where neither does.
	observed *int64
}

// stale says that the condition speaks of an earlier generation than wanted.
func (c condition) stale(wanted int64) bool {
	return c.observed != nil && *c.observed < wanted
}

// fresh says that the condition must speak of the generation wanted. One that
// does not say of which can only be left over where there was an earlier one.
func (c condition) fresh(wanted int64) bool {
	return wanted == 1 || c.observed != nil && !c.stale(wanted)
}

func (c condition) String() string {
	text := c.kind + "=" + c.status
	if c.reason != "" {
		text += " (" + c.reason + ")"
	}
	if c.message != "" {
		text += ": " + c.message
	}
	return text
}

// conditionsOf reads status.conditions leniently: what is not of the
// conventional shape is left out, as if the operator had not written it.
func conditionsOf(object *unstructured.Unstructured) map[string]condition {
	status, _, _ := unstructured.NestedMap(object.Object, "status")
	list, _, _ := unstructured.NestedSlice(status, "conditions")
	whole := generationIn(status)
	conditions := make(map[string]condition, len(list))
	for _, entry := range list {
		fields, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		c := condition{
			kind:     text(fields, "type"),
			status:   text(fields, "status"),
			reason:   text(fields, "reason"),
			message:  text(fields, "message"),
			observed: generationIn(fields),
		}
		if c.observed == nil {
			c.observed = whole
		}
		conditions[c.kind] = c
	}
	return conditions
}

func text(fields map[string]any, key string) string {
	value, _ := fields[key].(string)
	return value
}

func generationIn(fields map[string]any) *int64 {
	switch value := fields["observedGeneration"].(type) {
	case int64:
		return &value
	case float64:
		whole := int64(value)
		return &whole
	}
	return nil
}
