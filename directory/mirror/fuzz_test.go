package mirror

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// scripted is the other side of a stream: what it sends is fixed.
type scripted struct {
	io.Reader
	net.Conn
}

func (s *scripted) Read(p []byte) (int, error)      { return s.Reader.Read(p) }
func (s *scripted) Write(p []byte) (int, error)     { return len(p), nil }
func (s *scripted) Close() error                    { return nil }
func (s *scripted) SetDeadline(time.Time) error     { return nil }
func (s *scripted) SetReadDeadline(time.Time) error { return nil }

// All that a mirror can send to a client.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 503 x\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"))
	f.Add(append([]byte("HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 17\r\n\r\n"), Pack([]byte("hello hello hello"))...))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1000
		b, err := exchange(&scripted{Reader: bytes.NewReader(in)}, &request{method: http.MethodGet, path: "/x", limit: limit})
		if len(b) > limit || err != nil && b != nil {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte{}, Pack([]byte("hello")))
	f.Add([]byte("x"), Pack(make([]byte, 5000)))
	f.Fuzz(func(t *testing.T, doc, packed []byte) {
		if got, err := unpack(bytes.NewReader(Pack(doc)), int64(len(doc))); err != nil || !bytes.Equal(got, doc) {
			t.Fatalf("%q comes back as %q, %v", doc, got, err)
		}
		if got, err := unpack(bytes.NewReader(packed), 1000); err == nil && len(got) > 1000 {
			t.Fatalf("%d bytes unpacked", len(got))
		}
	})
}

func FuzzParseHave(f *testing.F) {
	f.Add("2026-01-02T12:00:00.000Z AAAA")
	f.Add("2026-01-02T12:00:00.000Z AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if at, d, ok := parseHave(s); ok && formatHave(at, d) != s {
			t.Fatalf("accepted %q, is %q", s, formatHave(at, d))
		}
	})
}
