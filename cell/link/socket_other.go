//go:build !unix

package link

import (
	"errors"
	"net"
	"syscall"
)

// errWouldBlock is returned by readSocket only, which is not called here.
var errWouldBlock = errors.New("nothing to read yet")

// rawConn returns nil: the reader waits inside conn.Read.
func rawConn(net.Conn) syscall.RawConn { return nil }

func readSocket(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
