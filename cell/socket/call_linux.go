//go:build !race

package socket

import (
	"syscall"
	"unsafe"
)

// On Linux the calls are made without telling Go's scheduler. They do not wait, and
// take some 50 µs at most; but a scheduler that is told watches each call that takes
// longer than 20 µs, takes the processor away from it, and goes on looking 10,000
// times a second: a seventh of a busy relay's processor time (docs/performance.md).

func read(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_READ, fd, b) }

func write(fd uintptr, b []byte) (int, error) { return call(syscall.SYS_WRITE, fd, b) }

func call(trap, fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// maxVector is how many buffers one call writes.
const maxVector = 16

// writev writes the first buffers of bufs, none of which is empty, or as much of them
// as there is room for.
func writev(fd uintptr, bufs [][]byte) (int, error) {
	var v [maxVector]syscall.Iovec
	k := min(len(bufs), maxVector)
	for i, b := range bufs[:k] {
		v[i].Base = unsafe.SliceData(b)
		v[i].SetLen(len(b))
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&v)), uintptr(k))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
