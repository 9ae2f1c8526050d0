//go:build !unix

package socket

import (
	"errors"
	"syscall"
)

// ErrWouldBlock is returned by Read and Write only, which are not called here.
var ErrWouldBlock = errors.New("nothing to read yet")

// Raw returns nil: callers wait inside Read of the connection.
func Raw(any) syscall.RawConn { return nil }

// Read is not supported here.
func Read(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// Write is not supported here.
func Write(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
