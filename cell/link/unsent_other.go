//go:build !linux && !darwin

package link

import "net"

// keepUnsentShort does nothing where the system has no TCP_NOTSENT_LOWAT.
func keepUnsentShort(net.Conn) {}
