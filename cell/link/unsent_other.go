//go:build !linux && !darwin

package link

import "net"

// limitUnsentTCP does nothing where the system has no TCP_NOTSENT_LOWAT.
func limitUnsentTCP(net.Conn, int) {}
