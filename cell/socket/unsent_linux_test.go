package socket_test

import (
	"testing"

	"tunic/cell/socket"
)

// TestUnsentIsLimited writes to a peer that does not read: the kernel takes what
// the peer's own buffer holds and little more.
func TestUnsentIsLimited(t *testing.T) {
	const most = 256 << 10
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
	out, in := pair(t)
	in.SetReadBuffer(16 << 10)
	if limit > 0 {
		socket.LimitUnsent(out, limit)
	}
	n, _ := fill(t, socket.Raw(out))
	return n
}
