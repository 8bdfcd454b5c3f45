package readiness

import (
	"fmt"
	"slices"
	"strings"

	"github.com/crossapply/crossapply/shared/health"
)

// failing are the condition types by which operators say "this will not work":
// Stalled is kstatus's, Failed and Degraded are in wide use, ACK.Terminal is of the
// AWS Controllers for Kubernetes.
var failing = []string{"Stalled", "Failed", "Degraded", "ACK.Terminal"}

// conditionRule waits for a condition to be True: the first of those wanted that
// an object has. It goes by the conditions convention of the Kubernetes API:
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
func conditionRule(judgeSilent func(map[string]any, bool) (health.Verdict, error), wanted ...string) *Rule {
	return &Rule{
		name:        "condition " + strings.Join(wanted, " or "),
		judgeSilent: judgeSilent,
		judge: func(object map[string]any, generation int64) (health.Verdict, error) {
			return judgeConditions(object, generation, wanted), nil
		},
	}
}

// judgeConditions tells by each condition's own generation, or else by the
// status's, whether it is of the generation applied, as kubectl wait does.
func judgeConditions(object map[string]any, generation int64, wanted []string) health.Verdict {
	conditions := conditionsOf(object)
	for _, kind := range failing {
		// Whoever waits for Degraded=True means it.
		if slices.Contains(wanted, kind) {
			continue
		}
		if c, ok := conditions[kind]; ok && c.status == "True" && !c.stale(generation) {
			return c.verdict(health.Failed)
		}
	}
	if len(conditions) == 0 {
		return progressing("the operator has not written any status conditions yet")
	}
	for _, kind := range wanted {
		if c, ok := conditions[kind]; ok {
			return c.judge(generation)
		}
	}
	return progressing(fmt.Sprintf("status has no condition %s yet", strings.Join(wanted, " or ")))
}

func (c condition) judge(generation int64) health.Verdict {
	switch {
	case c.stale(generation):
		return outdated(generation, c.String(), c.observed)
	case c.status != "True":
		return c.verdict(health.Progressing)
	}
	return c.verdict(health.Ready)
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

func (c condition) verdict(state health.State) health.Verdict {
	return health.Verdict{State: state, Message: c.String(), Observed: c.observed}
}

func (c condition) String() string { return sentence(c.kind+"="+c.status, c.reason, c.message) }

// sentence is "what (reason): message", without what is empty.
func sentence(what, reason, message string) string {
	if reason != "" {
		what += " (" + reason + ")"
	}
	if message != "" {
		what += ": " + message
	}
	return what
}

// conditionsOf reads status.conditions leniently: what is not of the
// conventional shape is left out, as if the operator had not written it.
func conditionsOf(object map[string]any) map[string]condition {
	status := statusOf(object)
	entries, _ := status["conditions"].([]any)
	whole := generationIn(status)
	conditions := make(map[string]condition, len(entries))
	for _, entry := range entries {
		fields, ok := entry.(map[string]any)
		if !ok {
			continue
		}
		c := conditionIn(fields)
		if c.observed == nil {
			c.observed = whole
		}
		conditions[c.kind] = c
	}
	return conditions
}

func conditionIn(fields map[string]any) condition {
	return condition{
		kind:     text(fields, "type"),
		status:   text(fields, "status"),
		reason:   text(fields, "reason"),
		message:  text(fields, "message"),
		observed: generationIn(fields),
	}
}

func text(fields map[string]any, key string) string {
	value, _ := fields[key].(string)
	return value
}
