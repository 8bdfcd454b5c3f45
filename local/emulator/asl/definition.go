package asl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// kind is the type of a JSON value, in the words that AWS uses in errors.
type kind string

const (
	kindNull    kind = "null"
	kindBoolean kind = "boolean"
	kindNumber  kind = "number"
	kindString  kind = "string"
	kindArray   kind = "array"
	kindObject  kind = "object"
)

// node is a JSON value that keeps the order of an object's members and the
// spelling of numbers: outputs must come out as they were written.
type node struct {
	kind    kind
	raw     json.RawMessage // compact
	text    string          // of a string
	items   []*node         // of an array
	members []member        // of an object
}

type member struct {
	name  string
	value *node
}

// strings calls visit for every string inside, which does not include the names
// of members, and the path to it.
func (n *node) strings(path string, visit func(path, text string)) {
	if n.kind == kindString {
		visit(path, n.text)
	}
	for i, item := range n.items {
		item.strings(fmt.Sprintf("%s[%d]", path, i), visit)
	}
	for _, m := range n.members {
		m.value.strings(path+"/"+m.name, visit)
	}
}

// kindOf tells a compact JSON text's type by its first byte.
func kindOf(raw json.RawMessage) kind {
	if len(raw) == 0 {
		return kindNull
	}
	switch raw[0] {
	case '{':
		return kindObject
	case '[':
		return kindArray
	case '"':
		return kindString
	case 't', 'f':
		return kindBoolean
	case 'n':
		return kindNull
	default:
		return kindNumber
	}
}

// compact checks that text is one JSON value, of numbers that JSONata can hold
// (not 1e400), and removes white space.
func compact(text []byte) (json.RawMessage, error) {
	if err := json.Unmarshal(text, new(any)); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	return out.Bytes(), nil
}

// encode is json.Marshal without the escapes that only HTML needs.
func encode(v any) json.RawMessage {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		// Only values of this package's own types come here; all can be encoded.
		return json.RawMessage("null")
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

// elements splits a JSON array.
func elements(raw json.RawMessage) ([]json.RawMessage, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil, fmt.Errorf("not a JSON array: %w", err)
	}
	return items, nil
}

// joinArray is the reverse of elements.
func joinArray(items []json.RawMessage) json.RawMessage {
	return append(append([]byte{'['}, bytes.Join(asBytes(items), []byte{','})...), ']')
}

func asBytes(items []json.RawMessage) [][]byte {
	out := make([][]byte, len(items))
	for i, item := range items {
		out[i] = item
	}
	return out
}

// readNode reads one JSON document.
func readNode(text []byte) (*node, error) {
	raw, err := compact(text)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	n, err := decodeNode(dec, raw)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("not JSON: more than one value")
	}
	return n, nil
}

// decodeNode reads the next value of raw, which dec is reading.
func decodeNode(dec *json.Decoder, raw []byte) (*node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch v := tok.(type) {
	case json.Delim:
		n := &node{kind: kindArray}
		if v == '{' {
			n.kind = kindObject
		}
		begin := dec.InputOffset() - 1
		for dec.More() {
			if err := n.decodeElement(dec, raw); err != nil {
				return nil, err
			}
		}
		if _, err := dec.Token(); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		n.raw = raw[begin:dec.InputOffset()]
		return n, nil
	case string:
		return &node{kind: kindString, raw: encode(v), text: v}, nil
	case json.Number:
		return &node{kind: kindNumber, raw: json.RawMessage(v)}, nil
	case bool:
		return &node{kind: kindBoolean, raw: encode(v)}, nil
	default:
		return &node{kind: kindNull, raw: json.RawMessage("null")}, nil
	}
}

func (n *node) decodeElement(dec *json.Decoder, raw []byte) error {
	var name string
	if n.kind == kindObject {
		tok, err := dec.Token()
		if err != nil {
			return fmt.Errorf("not JSON: %w", err)
		}
		name, _ = tok.(string) // the decoder lets only strings through here
	}
	child, err := decodeNode(dec, raw)
	if err != nil {
		return err
	}
	if n.kind == kindObject {
		n.members = append(n.members, member{name, child})
	} else {
		n.items = append(n.items, child)
	}
	return nil
}
