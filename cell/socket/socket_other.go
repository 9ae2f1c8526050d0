//go:build !unix

package socket

import (
	"errors"
	"syscall"
)

// ErrWouldBlock is what Read and Write return where there is a socket: never here.
var ErrWouldBlock = errors.New("would block")

// Raw returns nil: callers wait inside Read of the connection.
func Raw(any) syscall.RawConn { return nil }

// Read is not supported here.
func Read(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

// Write is not supported here.
func Write(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }
