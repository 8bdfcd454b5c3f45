package readiness

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/crossapply/crossapply/shared/health"
)

// ofGeneration makes a judge of what looks at an object without a thought for
// generations. What the status says of an earlier generation than was applied is
// not listened to, and a verdict counts only if it is the same without the
// conditions that speak of an earlier one. (Leaving those out at once would not
// do: where a condition is missing, some checks see a failure.)
func ofGeneration(look func(object map[string]any) (health.Verdict, error)) judge {
	return func(object map[string]any, generation int64) (health.Verdict, error) {
		status := statusOf(object)
		observed := generationIn(status)
		if observed != nil && *observed < generation {
			return outdated(generation, "the status", observed), nil
		}
		verdict, err := look(object)
		if err != nil {
			return health.Verdict{}, err
		}
		current, stale := splitByGeneration(status, generation)
		if verdict.State != health.Progressing && stale != nil {
			again, err := look(withConditions(object, current))
			if err != nil {
				return health.Verdict{}, err
			}
			if again.State != verdict.State {
				return outdated(generation, stale.String(), stale.observed), nil
			}
			verdict = again
		}
		verdict.Observed = observed
		if observed == nil {
			verdict.Observed = leastObserved(current)
		}
		return verdict, nil
	}
}

func outdated(generation int64, what string, observed *int64) health.Verdict {
	return health.Verdict{
		State:    health.Progressing,
		Message:  fmt.Sprintf("the operator has not looked at generation %d yet: %s is for generation %d", generation, what, *observed),
		Observed: observed,
	}
}

// splitByGeneration returns the entries of status.conditions without those that
// say they speak of an earlier generation, and the first of these, if any.
func splitByGeneration(status map[string]any, generation int64) (current []any, stale *condition) {
	entries, _ := status["conditions"].([]any)
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		if observed := generationIn(fields); observed != nil && *observed < generation {
			if stale == nil {
				c := conditionIn(fields)
				stale = &c
			}
			continue
		}
		current = append(current, entry)
	}
	return current, stale
}

// withConditions returns the object with other conditions. It shares the rest.
func withConditions(object map[string]any, conditions []any) map[string]any {
	status := maps.Clone(statusOf(object))
	status["conditions"] = conditions
	object = maps.Clone(object)
	object["status"] = status
	return object
}

// leastObserved returns the least generation that the conditions speak of. It is
// nil when one of them does not say, for that may be the one that decided.
func leastObserved(conditions []any) *int64 {
	var least *int64
	for _, entry := range conditions {
		fields, _ := entry.(map[string]any)
		observed := generationIn(fields)
		if observed == nil {
			return nil
		}
		if least == nil || *observed < *least {
			least = observed
		}
	}
	return least
}

// generationIn reads observedGeneration, which some write as a number in a string
// (https://github.com/argoproj/argo-rollouts/issues/3402).
func generationIn(fields map[string]any) *int64 {
	value := fields["observedGeneration"]
	if text, ok := value.(string); ok {
		if generation, err := strconv.ParseInt(text, 10, 64); err == nil {
			return &generation
		}
	}
	if generation, ok := whole(value); ok {
		return &generation
	}
	return nil
}

// whole returns a JSON number as what it is in Kubernetes.
func whole(value any) (int64, bool) {
	switch value := value.(type) {
	case int64:
		return value, true
	case float64:
		return int64(value), true
	}
	return 0, false
}
