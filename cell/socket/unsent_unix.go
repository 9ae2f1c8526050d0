//go:build linux || darwin

package socket

import "golang.org/x/sys/unix"

// LimitUnsent bounds what the kernel holds of what was written to conn and has not
// been sent, in bytes: on a plain TCP connection, where the kernel can do that. What
// is under way is not bounded by it, so that it costs no throughput.
func LimitUnsent(conn any, bytes int) {
	raw := Raw(conn)
	if raw == nil {
		return
	}
	// Where the kernel does not know the option the connection works without it.
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
