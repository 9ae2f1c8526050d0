package node

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"tunic/cell/link"
)

// listen opens a TCP listener on each address, in its own family alone, or none.
func listen(addrs []netip.AddrPort) ([]net.Listener, error) {
	if len(addrs) == 0 {
		return nil, errors.New("no address to listen on: set listen")
	}
	var all []net.Listener
	for _, a := range addrs {
		ln, err := link.TCP{}.Listen(a)
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("%w (is another program using it? choose another port)", err)
		}
		all = append(all, ln)
	}
	return all, nil
}

func closeAll(all []net.Listener) {
	for _, ln := range all {
		ln.Close()
	}
}
