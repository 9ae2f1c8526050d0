//go:build unix && !linux

package socket

import "syscall"

func read(fd uintptr, b []byte) (int, error) { return syscall.Read(int(fd), b) }

func write(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }

func writev(fd uintptr, bufs [][]byte) (int, error) { return write(fd, bufs[0]) }
