//go:build linux || darwin

package link

import (
	"net"

	"golang.org/x/sys/unix"

	"tunic/cell/socket"
)

// limitUnsentTCP is limitUnsent for a TCP connection.
func limitUnsentTCP(conn net.Conn, bytes int) {
	raw := socket.Raw(conn)
	if raw == nil {
		return
	}
	// Where the kernel does not know the option the link works without it.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
