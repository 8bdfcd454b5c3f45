package jsonata

import (
	"encoding/base64"
	"strings"

	"github.com/dop251/goja"
)

// btoa and atob are what the jsonata module's $base64encode and $base64decode
// call. They do what Node's Buffer does with its encodings 'binary' and
// 'base64': a character is one byte, of which the higher bits are lost, and
// what is no base64 is passed over.

func btoa(value goja.Value) string {
	text, ok := value.ToString().(goja.String)
	if !ok {
		return "" // cannot be: ToString gives strings
	}
	data := make([]byte, text.Length())
	for i := range data {
		data[i] = byte(text.CharAt(i))
	}
	return base64.StdEncoding.EncodeToString(data)
}

func atob(text string) string {
	text, _, _ = strings.Cut(text, "=")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '-':
			return '+'
		case r == '_':
			return '/'
		case r == '+' || r == '/' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z':
			return r
		default:
			return -1
		}
	}, text)
	if len(text)%4 == 1 { // six bits are no byte
		text = text[:len(text)-1]
	}
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return "" // cannot be: only base64 is left
	}
	runes := make([]rune, len(data))
	for i, b := range data {
		runes[i] = rune(b)
	}
	return string(runes)
}
