package socket_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"tunic/cell/socket"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close(); in.Close() })
	return out.(*net.TCPConn), in.(*net.TCPConn)
}

// fill writes to a socket until it takes no more, and returns how many bytes it took.
func fill(t *testing.T, raw syscall.RawConn) (wrote int, failed error) {
	t.Helper()
	block := make([]byte, 64<<10)
	if err := raw.Control(func(fd uintptr) {
		for failed == nil {
			var n int
			n, failed = socket.Write(fd, block)
			wrote += n
		}
	}); err != nil {
		t.Fatal(err)
	}
	return wrote, failed
}

// TestReadWaitsWithoutABuffer reads what a peer sends, piece by piece, and takes
// its buffer only inside the callback.
func TestReadWaitsWithoutABuffer(t *testing.T) {
	out, in := pair(t)
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
		out.CloseWrite()
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
