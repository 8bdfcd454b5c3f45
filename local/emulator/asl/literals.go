package asl

import "encoding/json"

// The checks of values that are written out rather than computed: one that can
// never work is a mistake of the definition. Templates may be nil, for fields
// that are not there.

func (p *parser) literalKind(t *template, path string, want kind) {
	if t != nil && !t.dynamic() && t.kind != want {
		p.wrong(codeSchema, path, "The value must be of the type %s, or a JSONata expression", want)
	}
}

// literalInteger returns the number, if there is a right one.
func (p *parser) literalInteger(t *template, path string, low, high int64) (int64, bool) {
	if t == nil || t.dynamic() {
		return 0, false
	}
	var v int64
	if t.kind != kindNumber || json.Unmarshal(t.constant, &v) != nil || v < low || v > high {
		p.wrong(codeSchema, path, "The value must be an integer from %d to %d, or a JSONata expression", low, high)
		return 0, false
	}
	return v, true
}

func (p *parser) literalPercentage(t *template, path string) {
	if t == nil || t.dynamic() {
		return
	}
	var v float64
	if t.kind != kindNumber || json.Unmarshal(t.constant, &v) != nil || v < 0 || v > 100 {
		p.wrong(codeSchema, path, "The value must be a number from 0 to 100, or a JSONata expression")
	}
}

func (p *parser) literalTimestamp(t *template, path string) {
	if t == nil || t.dynamic() {
		return
	}
	var text string
	ok := t.kind == kindString && json.Unmarshal(t.constant, &text) == nil
	if ok {
		_, ok = parseTimestamp(text)
	}
	if !ok {
		p.wrong(codeSchema, path, "The value must be a timestamp such as 2016-03-14T01:59:00Z (RFC 3339), or a JSONata expression")
	}
}
