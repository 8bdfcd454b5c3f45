package iam

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// condition is one operator, key and list of values of a Condition block.
// docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type condition struct {
	key    string
	values []string

	// matches compares one value of the request with one of the policy.
	// It is nil for Null.
	matches  comparison
	negated  bool
	set      string // "", "ForAnyValue", "ForAllValues"
	ifExists bool
}

// comparison says whether the request's value meets the policy's pattern, which
// is compiled: see compile.
type comparison func(value, pattern string) bool

type operator struct {
	matches comparison
	negated bool
}

// lookupOperator knows every operator but BinaryEquals, which no key here needs.
func lookupOperator(name string) (operator, bool) {
	switch name {
	case "StringEquals":
		return operator{literally(equal), false}, true
	case "StringNotEquals":
		return operator{literally(equal), true}, true
	case "StringEqualsIgnoreCase":
		return operator{literally(strings.EqualFold), false}, true
	case "StringNotEqualsIgnoreCase":
		return operator{literally(strings.EqualFold), true}, true
	case "StringLike":
		return operator{like, false}, true
	case "StringNotLike":
		return operator{like, true}, true
	case "ArnEquals", "ArnLike": // AWS: the two behave alike
		return operator{arnLike, false}, true
	case "ArnNotEquals", "ArnNotLike":
		return operator{arnLike, true}, true
	case "Bool":
		return operator{literally(strings.EqualFold), false}, true
	case "IpAddress":
		return operator{literally(inNetwork), false}, true
	case "NotIpAddress":
		return operator{literally(inNetwork), true}, true
	}
	if rest, ok := strings.CutPrefix(name, "Numeric"); ok {
		return ordered(rest, compareNumbers)
	}
	if rest, ok := strings.CutPrefix(name, "Date"); ok {
		return ordered(rest, compareDates)
	}
	return operator{}, false
}

func ordered(relation string, compare func(a, b string) (int, bool)) (operator, bool) {
	accept, ok := map[string]func(int) bool{
		"Equals":            func(c int) bool { return c == 0 },
		"NotEquals":         func(c int) bool { return c == 0 },
		"LessThan":          func(c int) bool { return c < 0 },
		"LessThanEquals":    func(c int) bool { return c <= 0 },
		"GreaterThan":       func(c int) bool { return c > 0 },
		"GreaterThanEquals": func(c int) bool { return c >= 0 },
	}[relation]
	if !ok {
		return operator{}, false
	}
	return operator{negated: relation == "NotEquals", matches: literally(func(value, want string) bool {
		c, ok := compare(value, want)
		return ok && accept(c)
	})}, true
}

func parseCondition(name, key string, values []string) (condition, error) {
	c := condition{key: key, values: values}
	base := name
	if set, rest, ok := strings.Cut(name, ":"); ok {
		if set != "ForAnyValue" && set != "ForAllValues" {
			return condition{}, fmt.Errorf("unknown condition operator %q", name)
		}
		c.set, base = set, rest
	}
	if base == "Null" {
		return c, nil
	}
	base, c.ifExists = strings.CutSuffix(base, "IfExists")
	op, ok := lookupOperator(base)
	if !ok {
		return condition{}, fmt.Errorf("unknown condition operator %q", name)
	}
	c.matches, c.negated = op.matches, op.negated
	return c, nil
}

// holds evaluates the condition for the values its key has in the request.
func (c condition) holds(found []string, exists bool, patterns []string) bool {
	if c.matches == nil {
		return c.null(exists)
	}
	if !exists || len(found) == 0 {
		// A missing key meets IfExists, every negated operator, and ForAllValues.
		return c.ifExists || c.set == "ForAllValues" || (c.negated && c.set == "")
	}
	meets := func(value string) bool {
		for _, pattern := range patterns {
			if c.matches(value, pattern) {
				return !c.negated
			}
		}
		return c.negated
	}
	// Without a set operator a key has one value, and all is the same as any.
	for _, value := range found {
		if c.set == "ForAnyValue" && meets(value) {
			return true
		}
		if c.set != "ForAnyValue" && !meets(value) {
			return false
		}
	}
	return c.set != "ForAnyValue"
}

// null is the operator Null: "true" wants the key absent, "false" present.
func (c condition) null(exists bool) bool {
	for _, want := range c.values {
		if strings.EqualFold(want, strconv.FormatBool(!exists)) {
			return true
		}
	}
	return false
}

// literally compares without wildcards: the compiled markers become the
// characters they were written as.
func literally(compare func(value, want string) bool) comparison {
	return func(value, pattern string) bool {
		return compare(value, strings.NewReplacer(string(many), "*", string(one), "?").Replace(pattern))
	}
}

func equal(a, b string) bool { return a == b }

func like(value, pattern string) bool    { return glob(pattern, value) }
func arnLike(value, pattern string) bool { return arnGlob(pattern, value) }

func inNetwork(value, network string) bool {
	address, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	if prefix, err := netip.ParsePrefix(network); err == nil {
		return prefix.Contains(address.Unmap())
	}
	single, err := netip.ParseAddr(network)
	return err == nil && single.Unmap() == address.Unmap()
}

func compareNumbers(a, b string) (int, bool) {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	switch {
	case errX != nil || errY != nil:
		return 0, false
	case x < y:
		return -1, true
	case x > y:
		return 1, true
	}
	return 0, true
}

func compareDates(a, b string) (int, bool) {
	x, okX := parseDate(a)
	y, okY := parseDate(b)
	return x.Compare(y), okX && okY
}

// parseDate reads ISO 8601, or seconds since 1970 as aws:EpochTime gives them.
func parseDate(s string) (time.Time, bool) {
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(seconds, 0), true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
