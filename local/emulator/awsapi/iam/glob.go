package iam

import "strings"

// In a compiled pattern these stand for the wildcards, so that a * or ? that
// comes out of a policy variable stays an ordinary character.
const (
	many = '\uE000'
	one  = '\uE001'
)

// compile turns a policy's text into a pattern: wildcards become markers, and
// policy variables (${aws:PrincipalAccount}, ${key, 'default'}, ${*}) their
// values. It reports false when a variable has no single value: the text then
// matches nothing.
func compile(text string, variables bool, lookup func(key string) ([]string, bool)) (pattern string, ok bool) {
	var b strings.Builder
	for text != "" {
		if variables && strings.HasPrefix(text, "${") {
			if name, rest, found := strings.Cut(text[2:], "}"); found {
				value, known := expand(name, lookup)
				if !known {
					return "", false
				}
				b.WriteString(value)
				text = rest
				continue
			}
		}
		switch text[0] {
		case '*':
			b.WriteRune(many)
		case '?':
			b.WriteRune(one)
		default:
			b.WriteByte(text[0])
		}
		text = text[1:]
	}
	return b.String(), true
}

func expand(name string, lookup func(string) ([]string, bool)) (string, bool) {
	switch name {
	case "*", "?", "$":
		return name, true
	}
	key, fallback, hasFallback := strings.Cut(name, ",")
	if found, ok := lookup(strings.TrimSpace(key)); ok && len(found) == 1 {
		return found[0], true
	}
	if hasFallback {
		return strings.Trim(strings.TrimSpace(fallback), "'"), true
	}
	return "", false
}

// glob matches text against a compiled pattern in linear space and at worst
// quadratic time: on a mismatch it only ever goes back to the last wildcard.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	i, j, star, mark := 0, 0, -1, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == many:
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == one || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == many {
		i++
	}
	return i == len(p)
}

// arnGlob matches an ARN part by part, so that a wildcard in the account part
// never reaches into the resource. A pattern with fewer parts must end in a
// wildcard, such as "*" or "arn:aws:s3:*", which then matches all the rest.
func arnGlob(pattern, arn string) bool {
	const parts = 6
	ps := strings.SplitN(pattern, ":", parts)
	as := strings.SplitN(arn, ":", len(ps))
	if len(ps) != len(as) || (len(ps) < parts && !strings.HasSuffix(pattern, string(many)) && pattern != arn) {
		return false
	}
	for i := range ps {
		if !glob(ps[i], as[i]) {
			return false
		}
	}
	return true
}
