package asl

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// items evaluates a Map's Items. The input serves where there is no Items.
func (v *visit) items(ctx context.Context) ([]mapItem, error) {
	if v.state.items == nil {
		if got := kindOf(v.input); got != kindArray {
			return nil, v.evalError(&fieldError{"", fmt.Sprintf("Map state input must be an array but was: %s", got)})
		}
		return itemsOf(v.input)
	}
	raw, err := v.eval(ctx, "Items", v.state.items, values{})
	if err != nil {
		return nil, err
	}
	got := kindOf(raw)
	if got == kindArray || got == kindObject && v.state.distributed != nil {
		return itemsOf(raw)
	}
	return nil, v.evalError(&fieldError{"Items", fmt.Sprintf(
		"The JSONata expression '%s' specified for the field 'Items' returned an unexpected result type. Expected 'array', but was '%s' for value: %s",
		v.state.items.expr, got, raw)})
}

// itemsOf splits an array, or an object into its members.
func itemsOf(raw json.RawMessage) ([]mapItem, error) {
	n, err := readNode(raw)
	if err != nil {
		return nil, &Error{ErrRuntime, err.Error()}
	}
	var items []mapItem
	for i, item := range n.items {
		items = append(items, mapItem{Index: i, Value: item.raw})
	}
	for i, m := range n.members {
		items = append(items, mapItem{Index: i, Key: m.name, Value: m.value.raw})
	}
	return items, nil
}

// from sets the source of a distributed Map's items.
func from(items []mapItem, source string) {
	for i := range items {
		items[i].Source = source
	}
}

// concurrency evaluates MaxConcurrency; 0 means no limit of its own.
func (v *visit) concurrency(ctx context.Context) (int, error) {
	if v.state.maxConcurrency == nil {
		return 0, nil
	}
	n, err := v.evalInteger(ctx, "MaxConcurrency", v.state.maxConcurrency, 0, 99999999)
	return int(n), err
}

// selectItem gives an iteration its input.
func (v *visit) selectItem(ctx context.Context, item *mapItem) (json.RawMessage, error) {
	input, err := item.Value, error(nil)
	if v.state.itemSelector != nil {
		input, err = v.eval(ctx, "ItemSelector", v.state.itemSelector, values{item: item})
	}
	if err == nil && len(input) > MaxPayload {
		return nil, v.tooLarge()
	}
	return input, err
}

// bucketPlace is the Arguments of an ItemReader or a ResultWriter.
type bucketPlace struct {
	Bucket, Key, Prefix string
}

// argument is one member of such Arguments.
type argument struct {
	name     string
	required bool
	in       func(*bucketPlace) *string
}

func readerArguments() []argument {
	return []argument{
		{"Bucket", true, func(at *bucketPlace) *string { return &at.Bucket }},
		{"Key", true, func(at *bucketPlace) *string { return &at.Key }},
	}
}

func writerArguments() []argument {
	return []argument{
		{"Bucket", true, func(at *bucketPlace) *string { return &at.Bucket }},
		{"Prefix", false, func(at *bucketPlace) *string { return &at.Prefix }},
	}
}

// find returns the argument of exactly that name, or nil.
func find(arguments []argument, name string) *argument {
	for i := range arguments {
		if arguments[i].name == name {
			return &arguments[i]
		}
	}
	return nil
}

// place evaluates where a reader or writer works.
func (v *visit) place(ctx context.Context, field string, t *template, want []argument) (bucketPlace, error) {
	var at bucketPlace
	raw, err := v.evalKind(ctx, field, t, kindObject)
	if err != nil {
		return at, err
	}
	n, err := readNode(raw)
	if err != nil {
		return at, &Error{ErrRuntime, err.Error()}
	}
	wrong := func(format string, args ...any) error {
		return v.evalError(&fieldError{field, fmt.Sprintf("The value of the field '%s' is not valid: ", field) + fmt.Sprintf(format, args...) + "."})
	}
	for _, m := range n.members {
		a := find(want, m.name)
		if a == nil {
			return at, wrong("the argument '%s' is not supported by the local runner", m.name)
		}
		if m.value.kind != kindString {
			return at, wrong("the argument '%s' is not a string", m.name)
		}
		*a.in(&at) = m.value.text
	}
	for _, a := range want {
		if a.required && *a.in(&at) == "" {
			return at, wrong("the argument '%s' is required", a.name)
		}
	}
	return at, nil
}

// read gets a distributed Map's items from its bucket.
func (r *itemReader) read(ctx context.Context, e *Execution, at bucketPlace, limit int64) ([]mapItem, error) {
	failed := func(format string, args ...any) error {
		return &Error{ErrItemReaderFailed, fmt.Sprintf(format, args...)}
	}
	if e.runner.objects == nil {
		return nil, failed("this runner has no objects to read")
	}
	body, err := e.runner.objects.Get(ctx, e, at.Bucket, at.Key)
	if err != nil {
		return nil, failed("reading s3://%s/%s: %v", at.Bucket, at.Key, err)
	}
	if r.inputType == "JSONL" {
		lines := bytes.Split(bytes.TrimSpace(body), []byte{'\n'})
		body = append(append([]byte{'['}, bytes.Join(lines, []byte{','})...), ']')
	}
	n, err := readNode(body)
	if err == nil && r.pointer != "" {
		n, err = n.at(r.pointer)
	}
	if err != nil {
		return nil, failed("s3://%s/%s: %v", at.Bucket, at.Key, err)
	}
	if n.kind != kindArray && n.kind != kindObject {
		return nil, failed("s3://%s/%s: a JSON array or object is expected, but it is: %s", at.Bucket, at.Key, n.kind)
	}
	items, err := itemsOf(n.raw)
	from(items, fmt.Sprintf("S3://%s/%s", at.Bucket, at.Key))
	if limit > 0 && int64(len(items)) > limit {
		items = items[:limit]
	}
	return items, err
}

// at follows a JSON pointer (RFC 6901).
func (n *node) at(pointer string) (*node, error) {
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, part := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		next := n.child(unescape.Replace(part))
		if next == nil {
			return nil, fmt.Errorf("nothing at %s", pointer)
		}
		n = next
	}
	return n, nil
}

func (n *node) child(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.items) {
		return n.items[i]
	}
	return nil
}
