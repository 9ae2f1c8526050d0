//go:build linux || darwin

package link

import (
	"net"

	"golang.org/x/sys/unix"

	"tunic/cell/socket"
)

// keepUnsentShort bounds what the kernel holds of ours without having sent it, so
// that cells wait where the scheduler can still choose among them.
func keepUnsentShort(conn net.Conn) {
	raw := socket.Raw(conn)
	if raw == nil {
		return
	}
	// Where the kernel does not know the option the link works without it.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}
