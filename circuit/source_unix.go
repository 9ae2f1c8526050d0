//go:build unix

package circuit

import (
	"io"
	"net"
	"syscall"
)

// errWouldBlock says that there is nothing to read yet.
var errWouldBlock error = syscall.EAGAIN

// rawConn returns the socket behind r, nil if r is anything but a plain TCP
// connection: what wraps one may change its bytes.
func rawConn(r io.Reader) syscall.RawConn {
	tcp, ok := r.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readSocket reads from a socket that does not block. At the end of the stream
// the error is io.EOF.
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
