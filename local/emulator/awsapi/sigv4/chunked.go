package sigv4

import (
	"bufio"
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// DecodeChunked takes an S3 upload in Content-Encoding aws-chunked apart: it
// returns the payload and the trailing headers, and checks each chunk's
// signature where the body says it is signed. A body that is not chunked comes
// back as it is. The error is an [Error].
//
// docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
func (s *Signature) DecodeChunked(r *http.Request, body []byte, secret string) ([]byte, http.Header, error) {
	form, ok := strings.CutPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-")
	if !ok {
		return body, nil, nil
	}
	d := &chunkDecoder{signature: s, secret: secret, previous: s.Value, in: bufio.NewReader(bytes.NewReader(body))}
	switch strings.TrimSuffix(form, "-TRAILER") {
	case "AWS4-HMAC-SHA256-PAYLOAD":
		d.signed = true
	case "UNSIGNED-PAYLOAD":
	default:
		return nil, nil, incomplete("x-amz-content-sha256: STREAMING-%s is not supported", form)
	}
	payload, trailer, err := d.decode()
	var known *Error
	if err != nil && !errors.As(err, &known) {
		err = incomplete("malformed aws-chunked body: %v", err)
	}
	return payload, trailer, err
}

type chunkDecoder struct {
	signature *Signature
	secret    string
	signed    bool
	previous  string // the signature of the chunk before
	in        *bufio.Reader
}

func (d *chunkDecoder) decode() (payload []byte, trailer http.Header, err error) {
	for {
		line, err := d.line()
		if err != nil {
			return nil, nil, err
		}
		length, extension, _ := strings.Cut(line, ";")
		size, err := strconv.ParseUint(length, 16, 31)
		if err != nil {
			return nil, nil, err
		}
		var chunk bytes.Buffer
		if _, err := io.CopyN(&chunk, d.in, int64(size)); err != nil {
			return nil, nil, err
		}
		if err := d.check("AWS4-HMAC-SHA256-PAYLOAD", strings.TrimPrefix(extension, "chunk-signature="), hexHash("")+"\n"+hexHash(chunk.String())); err != nil {
			return nil, nil, err
		}
		if size == 0 {
			trailer, err = d.trailer()
			return payload, trailer, err
		}
		payload = append(payload, chunk.Bytes()...)
		if end, err := d.line(); err != nil || end != "" {
			return nil, nil, fmt.Errorf("chunk is not followed by an empty line: %q, %w", end, err)
		}
	}
}

func (d *chunkDecoder) line() (string, error) {
	line, err := d.in.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

func (d *chunkDecoder) trailer() (http.Header, error) {
	header, text, signature := http.Header{}, "", ""
	for {
		line, err := d.line()
		name, value, isHeader := strings.Cut(line, ":")
		switch {
		case isHeader && name == "x-amz-trailer-signature":
			signature = value
		case isHeader:
			header.Set(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
			text += name + ":" + value + "\n"
		}
		if line == "" || errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if text == "" {
		return header, nil
	}
	return header, d.check("AWS4-HMAC-SHA256-TRAILER", signature, hexHash(text))
}

// check compares the signature of a chunk, each of which builds on the one
// before.
func (d *chunkDecoder) check(what, signature, rest string) error {
	if !d.signed {
		return nil
	}
	want := d.signature.sign(d.secret, strings.Join([]string{
		what, d.signature.Time.Format(timeFormat), d.signature.scope(), d.previous, rest,
	}, "\n"))
	if subtle.ConstantTimeCompare([]byte(want), []byte(signature)) != 1 {
		return &Error{Mismatch, "The chunk signature we calculated does not match the signature you provided."}
	}
	d.previous = want
	return nil
}
