package link

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

func TestUnsentIsKeptShort(t *testing.T) {
	for kind, c := range connections(t) {
		limitUnsent(c[0], unsentBytes)
		tcp, ok := c[0].(*net.TCPConn)
		if !ok {
			continue // a transport's own: left alone
		}
		raw, err := tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
			if err != nil || n != unsentBytes {
				t.Errorf("%s: TCP_NOTSENT_LOWAT %d, %v; want %d", kind, n, err, unsentBytes)
			}
		})
	}
}
