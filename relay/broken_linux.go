package relay

import (
	"net"
	"syscall"
)

// broken reports whether the connection, whose end was just read, has in truth
// broken, and the system has told who writes to it: it tells an error once, to
// whoever calls first, and everybody else that the connection has ended in order.
// Where both directions have ended it may report true as well.
func broken(conn net.Conn) (told bool) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		if _, err := syscall.Getpeername(int(fd)); err != syscall.ENOTCONN {
			return
		}
		// An error that waits still was none of the reader's: the connection
		// broke after its orderly end.
		waits, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		told = err == nil && waits == 0
	})
	return told
}
