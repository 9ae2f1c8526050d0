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
