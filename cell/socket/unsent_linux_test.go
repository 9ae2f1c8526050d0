package socket_test

import (
	"net"
	"testing"
	"time"

	"tunic/cell/socket"
)

// TestUnsentIsLimited writes to a peer that does not read: the kernel takes what
// the peer's own buffer holds and little more.
func TestUnsentIsLimited(t *testing.T) {
	const most = 1 << 20
	unlimited, limited := taken(t, 0), taken(t, 64<<10)
	t.Logf("the kernels take %d bytes, %d with a limit", unlimited, limited)
	if limited >= unlimited || limited > most {
		t.Errorf("the kernels take %d bytes with a limit, %d without", limited, unlimited)
	}
}

// taken returns how much can be written to a connection whose peer, with a small
// buffer, does not read.
func taken(t *testing.T, limit int) int {
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
	defer out.Close()
	in, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	in.(*net.TCPConn).SetReadBuffer(16 << 10)
	if limit > 0 {
		socket.LimitUnsent(out, limit)
	}
	out.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	n, _ := out.Write(make([]byte, 64<<20))
	return n
}
