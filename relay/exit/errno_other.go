//go:build !windows

package exit

import "syscall"

// What the system's errors mean for a destination.
var (
	refusedErrors   = []error{syscall.ECONNREFUSED}
	resetErrors     = []error{syscall.ECONNRESET, syscall.ECONNABORTED}
	brokenErrors    = []error{syscall.EPIPE}
	routeErrors     = []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.EAFNOSUPPORT}
	forbiddenErrors = []error{syscall.EACCES, syscall.EPERM} // a packet filter of this machine
	resourceErrors  = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EAGAIN}
)
