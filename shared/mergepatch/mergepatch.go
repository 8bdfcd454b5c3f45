// Package mergepatch applies JSON merge patches: a field of the patch replaces that
// of the target, null takes it away, and lists are replaced as a whole.
// https://www.rfc-editor.org/rfc/rfc7386
package mergepatch

import "maps"

// Apply returns what a patch makes of a target, as RFC 7386 says in its section 2.
// Both are values as a JSON decoder makes them of any. It changes neither; the result
// shares with them what it took over.
func Apply(target, patch any) any {
	fields, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	given, _ := target.(map[string]any)
	merged := maps.Clone(given)
	if merged == nil {
		merged = map[string]any{}
	}
	for name, value := range fields {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = Apply(merged[name], value)
		}
	}
	return merged
}
