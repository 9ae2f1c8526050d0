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
}
