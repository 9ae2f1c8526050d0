//go:build unix

package socket

import (
	"io"
	"net"
	"syscall"
)

// ErrWouldBlock says that there is nothing to read yet, or no room to write.
var ErrWouldBlock error = syscall.EAGAIN

// Raw returns the socket behind conn, nil if conn is anything but a plain TCP
// connection: what wraps one may change its bytes. Its Read method, given a
// function that calls [Read], waits until there is something; so does its Write
// method with [Write], until there is room, and Control waits for nothing.
func Raw(conn any) syscall.RawConn {
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

// Read reads from a socket that does not block. At the end of the stream the
// error is io.EOF.
func Read(fd uintptr, b []byte) (int, error) {
	for {
		n, err := read(fd, b)
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

// Write writes to a socket that does not block, and returns how much of b it took:
// less than all, or nothing and ErrWouldBlock, if there is no room for more.
func Write(fd uintptr, b []byte) (int, error) {
	for {
		n, err := write(fd, b)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		default:
			return n, nil
		}
	}
}
