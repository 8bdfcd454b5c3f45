package protocol_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/crossapply/crossapply/local/emulator/awsapi/protocol"
)

func TestWriteError(t *testing.T) {
	denied := &protocol.Error{Code: "AccessDenied", Message: `no "entry" <here>`, Status: 403, Fields: map[string]string{"Reason": "Because"}}
	tests := []struct {
		name     string
		protocol protocol.Protocol
		method   string
		accept   string
		err      error
		status   int
		holds    []string
	}{
		{"rest-json", protocol.RESTJSON, "GET", "", denied, 403, []string{`"message":"no \"entry\" \u003chere\u003e"`, `"Reason":"Because"`}},
		{"json", protocol.JSON, "POST", "", denied, 403, []string{`"__type":"AccessDenied"`, `"message":`}},
		{"rest-xml", protocol.RESTXML, "GET", "", denied, 403, []string{"<Error><Code>AccessDenied</Code><Message>no &#34;entry&#34; &lt;here&gt;</Message>", "<RequestId>"}},
		{"query", protocol.Query, "POST", "", denied, 403, []string{"<Error><Type>Sender</Type><Code>AccessDenied</Code>", "<RequestId>"}},
		{"query in JSON", protocol.Query, "GET", "application/json", denied, 403, []string{`{"Error":{"Type":"Sender","Code":"AccessDenied"`, `"RequestId":`}},
		{"wrapped", protocol.JSON, "POST", "", fmt.Errorf("in a test: %w", denied), 403, []string{"AccessDenied"}},
		{"without status", protocol.JSON, "POST", "", &protocol.Error{Code: "ValidationException"}, 400, []string{"ValidationException"}},
		{"unknown", protocol.RESTJSON, "GET", "", errors.New("broken"), 500, []string{"broken"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/path", nil)
			r.Header.Set("Accept", tt.accept)
			w := httptest.NewRecorder()
			tt.protocol.WriteError(w, r, tt.err)
			if w.Code != tt.status || w.Header().Get("X-Amzn-Requestid") == "" {
				t.Errorf("status %d, headers %v", w.Code, w.Header())
			}
			for _, want := range tt.holds {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("no %s in %s", want, w.Body)
				}
			}
			if tt.protocol == protocol.RESTJSON && w.Header().Get("X-Amzn-ErrorType") == "" {
				t.Error("no error type in the headers")
			}
		})
	}
	w := httptest.NewRecorder()
	protocol.RESTXML.WriteError(w, httptest.NewRequest(http.MethodHead, "/", nil), denied)
	if w.Body.Len() != 0 {
		t.Errorf("a HEAD was answered with %s", w.Body)
	}
}

func TestOf(t *testing.T) {
	for _, tt := range []struct {
		contentType string
		want        protocol.Protocol
	}{
		{"application/x-amz-json-1.1", protocol.JSON},
		{"application/x-www-form-urlencoded; charset=utf-8", protocol.Query},
		{"application/json", protocol.RESTJSON},
		{"", protocol.RESTJSON},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Content-Type", tt.contentType)
		if got := protocol.Of(r); got != tt.want {
			t.Errorf("%s: protocol %d, want %d", tt.contentType, got, tt.want)
		}
	}
}
