//go:build unix

package link

import (
	"io"
	"net"
	"syscall"
)

// errWouldBlock says that there is nothing to read yet.
var errWouldBlock error = syscall.EAGAIN

// rawConn returns the socket behind conn, nil if conn is anything but a plain TCP
// connection: a transport that wraps one changes its bytes.
func rawConn(conn net.Conn) syscall.RawConn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readSocket reads from a socket that does not block. At the end of the stream the
// error is io.EOF.
func readSocket(fd uintptr, b []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), b)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
