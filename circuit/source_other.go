//go:build !unix

package circuit

import (
	"errors"
	"io"
	"syscall"
)

// errWouldBlock is returned by readSocket only, which is not called here.
var errWouldBlock = errors.New("nothing to read yet")

// rawConn returns nil: the reader waits inside Read.
func rawConn(io.Reader) syscall.RawConn { return nil }

func readSocket(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
