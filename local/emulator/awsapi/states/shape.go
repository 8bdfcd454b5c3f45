package states

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// marshal writes one of the SDK's output types as awsjson1.0 does: members in
// lower camel case, times as seconds since 1970, absent members left out.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	if err := writeShape(&out, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func writeShape(out *bytes.Buffer, v reflect.Value) error {
	if t, ok := v.Interface().(time.Time); ok {
		out.WriteString(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return writeShape(out, v.Elem())
	case reflect.Struct:
		return writeStruct(out, v)
	case reflect.Slice:
		out.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeShape(out, v.Index(i)); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	default:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v.Interface()); err != nil {
			return fmt.Errorf("encode %s: %w", v.Type(), err)
		}
		out.Truncate(out.Len() - 1) // the encoder's newline
		return nil
	}
}

func writeStruct(out *bytes.Buffer, v reflect.Value) error {
	out.WriteByte('{')
	first := true
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "ResultMetadata" || absent(v.Field(i)) {
			continue
		}
		if !first {
			out.WriteByte(',')
		}
		first = false
		fmt.Fprintf(out, "%q:", lowerFirst(field.Name))
		if err := writeShape(out, v.Field(i)); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func absent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return v.IsNil()
	case reflect.String: // an enum that is not set
		return v.Len() == 0
	default:
		return false
	}
}

func lowerFirst(s string) string {
	return strings.ToLower(s[:1]) + s[1:]
}
