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

// shape is how the SDK's output types are written as JSON. Members that are
// absent are left out.
type shape struct {
	member func(name string) string
	time   func(time.Time) string
}

// marshal writes an output as awsjson1.0 does: members in lower camel case, times
// as seconds since 1970.
func marshal(v any) ([]byte, error) {
	return shape{
		member: func(name string) string { return strings.ToLower(name[:1]) + name[1:] },
		time:   func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) },
	}.marshal(v)
}

// marshalResult writes an output as the result of an AWS SDK integration: members
// in Pascal case, times as strings.
func marshalResult(v any) ([]byte, error) {
	return shape{
		member: func(name string) string { return name },
		time:   func(t time.Time) string { return strconv.Quote(t.UTC().Format("2006-01-02T15:04:05.000Z")) },
	}.marshal(v)
}

func (s shape) marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	if err := s.write(&out, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (s shape) write(out *bytes.Buffer, v reflect.Value) error {
	if t, ok := v.Interface().(time.Time); ok {
		out.WriteString(s.time(t))
		return nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return s.write(out, v.Elem())
	case reflect.Struct:
		return s.writeStruct(out, v)
	case reflect.Slice:
		out.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := s.write(out, v.Index(i)); err != nil {
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

func (s shape) writeStruct(out *bytes.Buffer, v reflect.Value) error {
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
		fmt.Fprintf(out, "%q:", s.member(field.Name))
		if err := s.write(out, v.Field(i)); err != nil {
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
