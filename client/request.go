package client

import (
	"tunic/cell"
)

// A Request is a connection that an application wants.
type Request struct {
	// Host is a name, which the exit resolves, or an IP address.
	Host string
	Port uint16
	// Isolation keeps streams apart: two requests share a circuit only if they
	// have the same value. It may hold a user's secret and is never logged.
	Isolation string
	// Flags says which version of IP the application wants.
	Flags cell.BeginFlags
	// First gives what the application sends before it has been answered, one
	// message of at most a few KiB: it then travels with the request rather than a
	// round trip behind it. It may reach the destination more than once, where a
	// circuit fails and another is tried, so it must be something that may: the
	// ClientHello of TLS, a request that only asks. What has been taken from First
	// when Dial returns has been sent. nil: nothing is sent early.
	First <-chan []byte
}
