// Package strictjson reads JSON that people write into a Go type, and reports
// every mistake with the path of its field: a field that the type does not have
// or that is given twice, a name in another case, a value of another type.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/crossapply/crossapply/shared/fault"
)

// maxTypeErrors bounds how many values of a wrong type are reported: each costs
// one more pass over the text.
const maxTypeErrors = 20

// Unmarshal reads raw, which must be a JSON object, into a pointer to a struct.
// The paths of what it reports start at path, which may be nil; root names the
// whole document where the path is empty. The struct holds what could be read,
// so a caller that gets errors must not use it.
func Unmarshal(raw []byte, into any, path *field.Path, root string) field.ErrorList {
	d := document{path: path, root: root}
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return field.ErrorList{d.invalid(path, "must be a JSON object")}
	}
	strict, err := kjson.UnmarshalStrict(raw, into)
	var problems field.ErrorList
	for _, e := range strict {
		problems = append(problems, d.strictError(e))
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType):
		problems = append(problems, d.typeErrors(raw, reflect.TypeOf(into).Elem(), wrongType)...)
	case err != nil:
		why := err.Error() // as a type says it that reads itself
		if syntax, _ := kjson.SyntaxErrorOffset(err); syntax {
			why = "is not JSON: " + why
		}
		problems = append(problems, d.invalid(path, why))
	}
	return problems
}

// document is where a text stands in what the paths are paths of.
type document struct {
	path *field.Path
	root string
}

func (d document) invalid(path *field.Path, detail string) *field.Error {
	if path == nil {
		path = field.NewPath(d.root)
	}
	return field.Invalid(path, field.OmitValueType{}, detail)
}

func (d document) strictError(err error) *field.Error {
	var at kjson.FieldError
	if !errors.As(err, &at) {
		return d.invalid(d.path, err.Error())
	}
	detail := "unknown field"
	if strings.HasPrefix(err.Error(), "duplicate") {
		detail = "given twice"
	}
	return d.invalid(d.path.Child(fault.Shorten(at.FieldPath(), 80)), detail)
}

// typeErrors reports the values of a wrong type. The decoder tells only the
// first of them, and without its index in a list: so it is taken out, as a null,
// and the text decoded again.
func (d document) typeErrors(raw []byte, typ reflect.Type, wrongType *json.UnmarshalTypeError) field.ErrorList {
	var problems field.ErrorList
	raw = slices.Clone(raw)
	for range maxTypeErrors {
		at := locate(raw, wrongType.Offset, d.path)
		problems = append(problems, d.invalid(at.path,
			fmt.Sprintf("must be of type %s, not %s", jsonType(wrongType.Type), wrongType.Value)))
		if at.end <= at.start {
			break // the whole document
		}
		raw = slices.Replace(raw, at.start, at.end, []byte("null")...)
		if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, reflect.New(typ).Interface()); !errors.As(err, &wrongType) {
			break
		}
	}
	return problems
}

// jsonType names a Go type as JSON does.
func jsonType(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "object"
	case reflect.Slice, reflect.Array:
		return "list"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "whole number"
	case reflect.Bool:
		return "boolean"
	}
	return typ.Kind().String()
}

// location is a value in a JSON text: its path, and where it starts and ends.
type location struct {
	path       *field.Path
	start, end int
}

// locate finds the value whose first token ends at an offset, or the first one
// behind it.
func locate(raw []byte, offset int64, path *field.Path) location {
	w := walker{raw: raw, offset: offset, decoder: json.NewDecoder(bytes.NewReader(raw)), found: location{path: path}}
	w.walk(path)
	return w.found
}

type walker struct {
	raw     []byte
	offset  int64
	decoder *json.Decoder
	found   location
}

// walk reads one value, and says whether it or one inside it is the one sought.
func (w *walker) walk(path *field.Path) (done bool) {
	start := w.next()
	token, err := w.decoder.Token()
	if err != nil || w.decoder.InputOffset() >= w.offset {
		w.found = location{path: path, start: start, end: w.endOf(start)}
		return true
	}
	if token != json.Delim('{') && token != json.Delim('[') {
		return false
	}
	for i := 0; w.decoder.More(); i++ {
		child := path.Index(i)
		if token == json.Delim('{') {
			name, _ := w.decoder.Token() // an error comes back with the value
			child = path.Child(fmt.Sprint(name))
		}
		if w.walk(child) {
			return true
		}
	}
	_, err = w.decoder.Token() // the closing bracket
	return err != nil
}

// next is where the next token starts: behind white space, commas and colons.
func (w *walker) next() int {
	read := int(w.decoder.InputOffset())
	return read + len(w.raw[read:]) - len(bytes.TrimLeft(w.raw[read:], " \t\r\n,:"))
}

// endOf is where the value that starts at an offset ends.
func (w *walker) endOf(start int) int {
	decoder := json.NewDecoder(bytes.NewReader(w.raw[start:]))
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return start
	}
	return start + int(decoder.InputOffset())
}
