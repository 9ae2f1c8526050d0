package socket_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"tunic/cell/socket"
)

// TestReadWaitsWithoutABuffer reads what a peer sends, piece by piece, and takes
// its buffer only inside the callback.
func TestReadWaitsWithoutABuffer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	raw := socket.Raw(in)
	if raw == nil {
		t.Skip("not on this system")
	}
	waited := make(chan struct{}, 1)
	read := func() (string, error) {
		var got string
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			b := make([]byte, 16)
			n, err := socket.Read(fd, b)
			if errors.Is(err, socket.ErrWouldBlock) {
				select {
				case waited <- struct{}{}:
				default:
				}
				return false
			}
			got, failed = string(b[:n]), err
			return true
		})
		return got, errors.Join(err, failed)
	}
	go func() {
		<-waited // nothing was there: the reader waits
		out.Write([]byte("hello"))
		out.(*net.TCPConn).CloseWrite()
	}()
	if got, err := read(); got != "hello" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := read(); got != "" || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %q, %v", got, err)
	}
}

func TestRawWantsABareConnection(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if socket.Raw(a) != nil || socket.Raw(struct{ net.Conn }{a}) != nil {
		t.Error("a connection that is no socket has a socket")
	}
}
