package exit

import "golang.org/x/sys/windows"

// What the system's errors mean for a destination. The names of package syscall
// are not what Windows reports.
var (
	refusedErrors   = []error{windows.WSAECONNREFUSED}
	resetErrors     = []error{windows.WSAECONNRESET, windows.WSAECONNABORTED}
	brokenErrors    = []error{windows.WSAESHUTDOWN}
	routeErrors     = []error{windows.WSAENETUNREACH, windows.WSAEHOSTUNREACH, windows.WSAENETDOWN, windows.WSAEHOSTDOWN, windows.WSAEAFNOSUPPORT}
	forbiddenErrors = []error{windows.WSAEACCES} // a packet filter of this machine
	resourceErrors  = []error{windows.WSAEMFILE, windows.WSAENOBUFS, windows.WSAEADDRNOTAVAIL}
)
